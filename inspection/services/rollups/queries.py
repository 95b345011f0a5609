"""How each table of counts is made from the rows themselves, for the days of one site.

Parameters: site, tz (the time zone whose days are meant), start and end (moments, end not in).
"""

# ruff: noqa: S608  nothing from outside is put into these texts; values go as parameters
from __future__ import annotations

from inspection.models.rollup import BINS
from models_runtime.spc.histogram import RATIO, SMALLEST

BREAK_S = 300
"""A longer pause between two verdicts of a person counts as a break."""

_DAY = "(unit.created_at AT TIME ZONE %(tz)s)::date"
_UNIT = "inspection_inspection AS unit"
_WITHIN = """unit.site_id = %(site)s AND unit.created_at >= %(start)s
AND unit.created_at < %(end)s"""
_JUDGED = "unit.status IN ('review', 'decided')"
_BY_PERSON = "unit.decided_at IS NOT NULL"
# The same as inspection.selectors.findings.STANDING and current_findings, in SQL.
_SEEN = "(found.run_id = unit.current_run_id OR found.run_id IS NULL OR found.status <> 'open')"
_IN_FORCE = f"""{_SEEN} AND NOT found.is_sealed AND found.status <> 'rejected'
AND NOT (found.history = 'fixed' AND found.status = 'open')"""
_SETS = """(day, plan_id), (day, plan_id, line), (day, plan_id, shift), (day, plan_id, supplier),
(day, plan_id, product), (day, plan_id, line, shift, supplier, product)"""
_SLICE = """CASE GROUPING(line, shift, supplier, product)
WHEN 15 THEN 0 WHEN 7 THEN 1 WHEN 11 THEN 2 WHEN 13 THEN 3 WHEN 14 THEN 4 ELSE 5 END"""
_CONTEXT = """coalesce(line, ''), coalesce(shift, ''), coalesce(supplier, ''),
coalesce(product, '')"""

UNITS = f"""
INSERT INTO inspection_unitday (site_id, slice, day, plan_id, line, shift, supplier, product,
 units, defective, defects, first, first_passed, rework, reject, hold, minor, major, critical,
 alone, by_person, refused, overkill, checked, escaped, failed)
WITH seen AS (
 SELECT {_DAY} AS day, unit.plan_id, unit.line, unit.shift, unit.supplier, unit.product,
  unit.disposition, unit.severity, unit.status, {_JUDGED} AS judged,
  unit.status = 'failed' AS failed,
  {_JUDGED} AND {_BY_PERSON} AS by_person,
  unit.reference = '' OR NOT EXISTS (
   SELECT FROM inspection_inspection AS before WHERE before.site_id = unit.site_id
   AND before.plan_id = unit.plan_id AND before.reference = unit.reference
   AND before.reference <> ''
   AND (before.created_at, before.id) < (unit.created_at, unit.id)) AS first,
  (SELECT count(DISTINCT found.identity) FROM inspection_finding AS found
   WHERE found.inspection_id = unit.id AND {_IN_FORCE}) AS defects,
  CASE WHEN {_BY_PERSON} THEN (SELECT said.before->>'disposition' FROM inspection_review AS said
   WHERE said.inspection_id = unit.id AND said.kind = 'disposition'
   ORDER BY said.created_at, said.id LIMIT 1) END AS model_said,
  {_BY_PERSON} AND coalesce(gate.is_drawn AND gate.is_below, false) AS checked
 FROM {_UNIT} LEFT JOIN inspection_riskgate AS gate ON gate.inspection_id = unit.id
 WHERE {_WITHIN})
SELECT %(site)s, {_SLICE}, day, plan_id, {_CONTEXT},
 count(*) FILTER (WHERE judged),
 count(*) FILTER (WHERE judged AND disposition <> 'accept'),
 coalesce(sum(defects) FILTER (WHERE judged), 0),
 count(*) FILTER (WHERE judged AND first),
 count(*) FILTER (WHERE judged AND first AND disposition = 'accept'),
 count(*) FILTER (WHERE judged AND disposition = 'rework'),
 count(*) FILTER (WHERE judged AND disposition = 'reject'),
 count(*) FILTER (WHERE judged AND disposition = 'hold'),
 count(*) FILTER (WHERE judged AND severity = 'minor'),
 count(*) FILTER (WHERE judged AND severity = 'major'),
 count(*) FILTER (WHERE judged AND severity = 'critical'),
 count(*) FILTER (WHERE judged AND NOT by_person AND disposition = 'accept'
  AND status = 'decided'),
 count(*) FILTER (WHERE by_person),
 count(*) FILTER (WHERE by_person AND model_said NOT IN ('', 'accept')),
 count(*) FILTER (WHERE by_person AND model_said NOT IN ('', 'accept')
  AND disposition = 'accept'),
 count(*) FILTER (WHERE judged AND checked),
 count(*) FILTER (WHERE judged AND checked AND disposition <> 'accept'),
 count(*) FILTER (WHERE failed)
FROM seen WHERE judged OR failed GROUP BY GROUPING SETS ({_SETS})
"""

DEFECTS = f"""
INSERT INTO inspection_defectday (site_id, slice, day, plan_id, line, shift, supplier, product,
 type, found, minor, major, critical, confirmed, rejected)
WITH seen AS (
 SELECT {_DAY} AS day, unit.plan_id, unit.line, unit.shift, unit.supplier, unit.product,
  found.type, found.severity, {_IN_FORCE} AS in_force,
  found.status AS said, found.source <> 'person' AS by_model
 FROM inspection_finding AS found JOIN {_UNIT} ON found.inspection_id = unit.id
 WHERE {_WITHIN}
 AND {_JUDGED} AND {_SEEN} AND NOT found.is_sealed)
SELECT %(site)s, {_SLICE}, day, plan_id, {_CONTEXT}, type,
 count(*) FILTER (WHERE in_force),
 count(*) FILTER (WHERE in_force AND severity = 'minor'),
 count(*) FILTER (WHERE in_force AND severity = 'major'),
 count(*) FILTER (WHERE in_force AND severity = 'critical'),
 count(*) FILTER (WHERE by_model AND said = 'confirmed'),
 count(*) FILTER (WHERE by_model AND said = 'rejected')
FROM seen GROUP BY GROUPING SETS (
 {_SETS.replace("plan_id", "plan_id, type")})
"""

# A cascade writes what each of its engines did; a step with one engine is its own row.
ENGINES = f"""
INSERT INTO inspection_engineday (site_id, day, plan_id, step, rank, architecture, engine, cases,
 failed, run_ms, cost_microusd)
SELECT %(site)s, {_DAY}, unit.plan_id, step.step, did.rank, did.architecture, did.engine,
 sum(did.cases), sum(did.failed), sum(did.run_ms), sum(did.cost)
FROM {_UNIT}
JOIN inspection_run AS run ON run.inspection_id = unit.id
JOIN inspection_steprun AS step ON step.run_id = run.id AND step.status IN ('done', 'failed')
CROSS JOIN LATERAL (
 SELECT CASE WHEN jsonb_typeof(step.output #> '{{escalation,engines}}') = 'array'
  AND jsonb_array_length(step.output #> '{{escalation,engines}}') > 1
  THEN step.output #> '{{escalation,engines}}' END AS engines) AS told
CROSS JOIN LATERAL (
 SELECT row_number() OVER () AS rank, left(one->>'architecture', 20) AS architecture,
  left(one->>'engine', 200) AS engine, (one->>'cases')::int AS cases,
  (one->>'failed')::int AS failed, (one->>'run_ms')::float AS run_ms,
  (one->>'cost_microusd')::bigint AS cost
 FROM jsonb_array_elements(told.engines) AS one
 UNION ALL
 SELECT 1, step.architecture, step.engine, 1, (step.status = 'failed')::int,
  coalesce(step.run_ms, 0), step.cost_microusd
 WHERE told.engines IS NULL AND step.architecture <> '') AS did
WHERE {_WITHIN} GROUP BY 2, 3, 4, 5, 6, 7
"""

LATENCIES = f"""
INSERT INTO inspection_latencyday (site_id, day, step, architecture, bucket, steps)
SELECT %(site)s, {_DAY}, step.step, step.architecture,
 floor(ln(greatest(step.run_ms, {SMALLEST})) / ln({RATIO}::float)), count(*)
FROM {_UNIT}
JOIN inspection_run AS run ON run.inspection_id = unit.id
JOIN inspection_steprun AS step ON step.run_id = run.id AND step.status = 'done'
WHERE {_WITHIN} AND step.architecture <> '' AND step.run_ms IS NOT NULL
GROUP BY 2, 3, 4, 5
"""

CALIBRATION = f"""
INSERT INTO inspection_calibrationday (site_id, day, plan_id, kind, bin, cases, hits, stated)
SELECT %(site)s, day, plan_id, kind, least({BINS - 1}, floor(stated * {BINS})), count(*),
 count(*) FILTER (WHERE hit), sum(stated)
FROM (
 SELECT {_DAY} AS day, unit.plan_id, 'unit' AS kind, unit.defect_probability AS stated,
  unit.disposition <> 'accept' AS hit
 FROM {_UNIT} WHERE {_WITHIN} AND {_JUDGED} AND {_BY_PERSON} AND unit.defect_probability IS NOT NULL
 UNION ALL
 SELECT {_DAY}, unit.plan_id, 'finding', found.confidence, found.status = 'confirmed'
 FROM inspection_finding AS found JOIN {_UNIT} ON found.inspection_id = unit.id
 WHERE {_WITHIN}
 AND {_JUDGED} AND found.source <> 'person' AND found.status <> 'open' AND NOT found.is_sealed
) AS judged GROUP BY 2, 3, 4, 5
"""

PHOTOS = f"""
INSERT INTO inspection_photoday (site_id, day, is_total, plan_id, photos, brightness,
 log_sharpness, embedded, embedding)
SELECT %(site)s, day, GROUPING(plan_id) = 1, plan_id, count(*), sum(brightness),
 sum(ln(greatest(sharpness, 0.00001))), count(embedding), avg(embedding)
FROM (
 SELECT {_DAY} AS day, unit.plan_id, (photo.quality->>'mean')::float AS brightness,
  (photo.quality->>'sharpness')::float AS sharpness, photo.embedding
 FROM inspection_photo AS photo JOIN {_UNIT} ON photo.inspection_id = unit.id
 WHERE {_WITHIN}
 AND photo.status = 'ready' AND photo.quality ? 'mean' AND photo.quality ? 'sharpness'
) AS measured GROUP BY GROUPING SETS ((day, plan_id), (day))
"""

_CELL = "least(15, greatest(0, {}))"
HEAT = f"""
INSERT INTO inspection_heatday (site_id, day, is_month, plan_id, type, findings, cells)
WITH box AS MATERIALIZED (
 SELECT {_DAY} AS day, unit.plan_id, found.type, found.id,
  {_CELL.format("floor(found.x1 / photo.width * 16)::int")} AS left_cell,
  {_CELL.format("ceil(found.x2 / photo.width * 16)::int - 1")} AS right_cell,
  {_CELL.format("floor(found.y1 / photo.height * 16)::int")} AS top_cell,
  {_CELL.format("ceil(found.y2 / photo.height * 16)::int - 1")} AS bottom_cell
 FROM inspection_finding AS found JOIN inspection_photo AS photo ON photo.id = found.photo_id
 AND photo.width > 0 AND photo.height > 0
 JOIN {_UNIT} ON found.inspection_id = unit.id
 WHERE {_WITHIN}
 AND {_JUDGED} AND {_IN_FORCE} AND unit.plan_id IS NOT NULL),
touched AS (
 SELECT day, plan_id, coalesce(type, '') AS type, y * 16 + x AS cell, count(*) AS n
 FROM box, generate_series(left_cell, right_cell) AS x, generate_series(top_cell, bottom_cell) AS y
 GROUP BY GROUPING SETS ((day, plan_id, y * 16 + x), (day, plan_id, type, y * 16 + x))),
whole AS (
 SELECT day, plan_id, coalesce(type, '') AS type, count(*) AS n FROM box
 GROUP BY GROUPING SETS ((day, plan_id), (day, plan_id, type)))
SELECT %(site)s, day, false, plan_id, type, sum(whole_n), array_agg(n ORDER BY cell)
FROM (
 SELECT day, plan_id, type, cell, sum(n) AS n, sum(whole_n) AS whole_n
 FROM (
  SELECT day, plan_id, type, cell, n, 0 AS whole_n FROM touched
  UNION ALL
  SELECT day, plan_id, type, every.cell, 0, CASE WHEN every.cell = 0 THEN n ELSE 0 END
  FROM whole CROSS JOIN generate_series(0, 255) AS every(cell)) AS each
 GROUP BY 1, 2, 3, 4) AS filled
GROUP BY 2, 4, 5
"""

HEAT_OF_MONTHS = """
INSERT INTO inspection_heatday (site_id, day, is_month, plan_id, type, findings, cells)
SELECT site_id, month, true, plan_id, type, sum(n) FILTER (WHERE place = 1),
 array_agg(n_cell ORDER BY place)
FROM (
 SELECT heat.site_id, date_trunc('month', heat.day)::date AS month, heat.plan_id, heat.type,
  cell.place, sum(cell.n) AS n_cell, sum(heat.findings) AS n
 FROM inspection_heatday AS heat, unnest(heat.cells) WITH ORDINALITY AS cell(n, place)
 WHERE heat.site_id = %(site)s AND NOT heat.is_month
 AND heat.day >= date_trunc('month', %(first)s::date)
 AND heat.day < date_trunc('month', %(last)s::date) + interval '1 month'
 GROUP BY 1, 2, 3, 4, 5) AS summed
GROUP BY 1, 2, 4, 5
"""

REVIEWERS = f"""
INSERT INTO inspection_reviewerday (site_id, day, plan_id, reviewer_id, units, findings, changed,
 timed, active_s)
SELECT %(site)s, day, plan_id, reviewer_id, count(*) FILTER (WHERE on_unit),
 count(*) FILTER (WHERE kind IN (
  'confirm_finding', 'reject_finding', 'change_finding', 'add_finding')),
 count(*) FILTER (WHERE on_unit AND was NOT IN ('', becomes)),
 count(*) FILTER (WHERE on_unit AND gap <= {BREAK_S}),
 coalesce(sum(gap) FILTER (WHERE gap <= {BREAK_S}), 0)
FROM (
 SELECT (said.created_at AT TIME ZONE %(tz)s)::date AS day, said.reviewer_id, said.kind,
  unit.plan_id, said.kind = 'disposition' AS on_unit, said.before->>'disposition' AS was,
  said.after->>'disposition' AS becomes,
  extract(epoch FROM said.created_at - lag(said.created_at) OVER (
   PARTITION BY said.reviewer_id, (said.created_at AT TIME ZONE %(tz)s)::date
   ORDER BY said.created_at, said.id)) AS gap
 FROM inspection_review AS said JOIN inspection_inspection AS unit ON unit.id = said.inspection_id
 WHERE said.site_id = %(site)s AND said.created_at >= %(start)s AND said.created_at < %(end)s
  AND NOT EXISTS (SELECT FROM inspection_review AS back WHERE back.undoes_id = said.id)
) AS verdict GROUP BY 2, 3, 4
"""

TICKETS = """
INSERT INTO inspection_ticketday (site_id, day, plan_id, connector_id, status, tickets, took,
 took_s)
SELECT %(site)s, (ticket.created_at AT TIME ZONE %(tz)s)::date, unit.plan_id, ticket.connector_id,
 ticket.status, count(*), count(taken.at),
 coalesce(sum(extract(epoch FROM taken.at - ticket.created_at)), 0)
FROM inspection_ticket AS ticket
JOIN inspection_inspection AS unit ON unit.id = ticket.inspection_id
LEFT JOIN LATERAL (SELECT min(delivery.delivered_at) AS at FROM inspection_delivery AS delivery
 WHERE delivery.ticket_id = ticket.id) AS taken ON ticket.status = 'delivered'
WHERE ticket.site_id = %(site)s AND ticket.created_at >= %(start)s AND ticket.created_at < %(end)s
GROUP BY 2, 3, 4, 5
"""
