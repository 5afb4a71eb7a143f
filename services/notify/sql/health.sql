-- Named queries of `chorus doctor` that notify's role asks: what waits in vain.

-- name: dead_letters
-- Parked events by their type, with the newest error of each.
select type, count(*) as letters, min(parked_at) as since, min(seq) as first,
       (array_agg(error order by parked_at desc))[1] as error
from notify.dead_letter group by type order by type;

-- name: jobs^
-- Fan-out jobs, and those whose last page failed.
select count(*) as jobs, count(*) filter (where attempts > 0) as failing,
       (array_agg(error) filter (where error is not null))[1] as error
from notify.fanout_job;
