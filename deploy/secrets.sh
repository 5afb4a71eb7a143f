#!/bin/sh
# Makes the secrets that docker-compose.yml reads, each one once, and tells compose where they are (in .env).
# Run it again after taking one away: what is there stays as it is. `sh deploy/secrets.sh FOLDER` works elsewhere.
set -eu
cd "${1:-$(dirname "$0")/..}"
umask 077
mkdir -p secrets
for name in postgres_password feed_password notify_password redis_password secret_key grafana_password smtp_password; do
    [ -f "secrets/$name" ] && [ -s "secrets/$name" ] && continue
    rm -rf "secrets/$name" # an engine may have made a folder where it missed a file
    od -An -tx1 -N32 /dev/urandom | tr -d ' \n' > "secrets/$name"
    chmod 644 "secrets/$name" # read in containers under their own accounts; the folder is closed to everybody else
    echo "made secrets/$name"
done
touch .env
grep -q '^CHORUS_SECRETS=' .env || echo 'CHORUS_SECRETS=./secrets' >> .env
# Who keeps photos in S3 (deploy/s3.yml) has its keys from there: what is missing can only be said.
grep -q '^COMPOSE_FILE=.*deploy/s3\.yml' .env || exit 0
missing=0
for name in media_access_key media_secret_key; do
    if [ -f "secrets/$name" ] && [ -s "secrets/$name" ]; then
        chmod 644 "secrets/$name"
    else
        rm -rf "secrets/$name"
        echo "secrets/$name is missing: S3 gave you its words. Paste them, end with Ctrl-D, and run this again:" >&2
        echo "    cat > secrets/$name" >&2
        missing=1
    fi
done
exit $missing
