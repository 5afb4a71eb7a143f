-- Steps are only ever added; but their notes are somebody's words, and go when those do.
grant update (note) on feed.story_step to chorus_feed;
create index story_step_notes on feed.story_step (actor_id) where note is not null;
