-- name: role_of(account_id)^
-- A member's role now, and the log's positions of the same snapshot.
select role, eventlog.head_cursor() as as_of from feed.account where id = :account_id;

-- name: hold_roles(handle)
-- Holds whoever bears this handle, and every admin, so that the last one can't go twice; in everybody's order.
select id, handle, display_name, role from feed.account
where handle = :handle or role = 'admin' order by id for update;

-- name: set_role(account_id, role)!
-- Takes effect with the next request: no process remembers roles.
update feed.account set role = :role, version = version + 1 where id = :account_id;

-- name: record_grant(account_id, role, before, origin, granted_by, operator, at)!
-- Who, whom, what, when, from where.
insert into feed.role_grant (account_id, role, before, origin, granted_by, operator, at)
values (:account_id, :role, :before, :origin, :granted_by, :operator, :at);

-- name: role_holders(before, page)
-- Everybody with a role beyond a member's, newest account first; always at least one row, for the positions.
with head as materialized (select eventlog.head_cursor() as as_of),
page as (
    select id, handle, display_name, role from feed.account
    where role <> 'member' and id < :before order by id desc limit :page::integer
)
select head.as_of, page.* from head left join page on true order by page.id desc;

-- name: role_grants(before, page)
-- Every grant, newest first; always at least one row, for the positions.
with head as materialized (select eventlog.head_cursor() as as_of),
page as (
    select g.id, g.role, g.before, g.origin, g.operator, g.at, a.id as account_id, a.handle, a.display_name,
           b.id as by_id, b.handle as by_handle, b.display_name as by_name
    from feed.role_grant g join feed.account a on a.id = g.account_id left join feed.account b on b.id = g.granted_by
    where g.id < :before order by g.id desc limit :page::integer
)
select head.as_of, page.* from head left join page on true order by page.id desc;
