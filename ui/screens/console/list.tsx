import { signal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Exchange } from '../../api/document.ts';
import { Badge } from '../../components/badge.tsx';
import { useVirtualRows } from '../../components/virtual-list.tsx';
import { dropped, version } from '../../state/exchanges.ts';
import { setParams } from '../../state/router.ts';
import { statusTone, verdictOf } from '../../words/exchange.ts';
import { hasFailed } from '../../words/filter.ts';
import { clock, shortAuthority } from '../../words/text.ts';

/** Must be the height of `.row` in console.css. */
const ROW_PX = 28;
/** More than are ever in the document. A row that leaves on one side is the one that comes in on the other: half the work. */
const SLOTS = 128;
const COLUMNS = ['Time', 'Client', 'Method', 'Host and path', 'Status', 'Certificate', 'Verdict', 'ms'];

/** Whether the newest is kept in view; off as soon as the user scrolls up. */
export const following = signal(true);
/** The row that the keyboard is on, by the exchange's id. */
const active = signal<string | null>(null);

export function followNow(): void {
  following.value = true;
  active.value = null;
}

interface Props {
  readonly rows: readonly Exchange[];
  readonly selected: string | null;
}

export function ExchangeList({ rows, selected }: Props) {
  // The rows are one array that grows: without this, signals would take the component for unchanged.
  void version.value;
  const scroller = useRef<HTMLDivElement>(null);
  const { items, totalPx, virtualizer } = useVirtualRows(scroller, rows.length, ROW_PX);
  const lastTop = useRef(0);
  const lastDropped = useRef(dropped.value);
  const isFollowing = following.value;
  const gone = dropped.value;

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    if (isFollowing) element.scrollTop = element.scrollHeight;
    else if (gone !== lastDropped.current) element.scrollTop -= (gone - lastDropped.current) * ROW_PX;
    lastDropped.current = gone;
    lastTop.current = element.scrollTop;
  }, [rows, rows.length, isFollowing, gone, totalPx]);

  const onScroll = (): void => {
    const element = scroller.current;
    if (!element) return;
    const { scrollTop, clientHeight, scrollHeight } = element;
    if (scrollTop + clientHeight >= scrollHeight - 2) following.value = true;
    else if (scrollTop < lastTop.current - 1) following.value = false;
    lastTop.current = scrollTop;
  };

  const current = active.value ?? selected;
  const moveTo = (index: number): void => {
    const next = Math.min(rows.length - 1, Math.max(0, index));
    following.value = next === rows.length - 1;
    active.value = rows[next]?.exchange ?? null;
    virtualizer.scrollToIndex(next, { align: 'auto' });
    if (selected !== null && active.value !== null) setParams({ exchange: active.value }, true);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const { key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = current === null ? -1 : rows.findIndex(({ exchange }) => exchange === current);
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / ROW_PX) - 2);
    const from = at === -1 ? rows.length : at;
    const move: Readonly<Record<string, number>> = {
      ArrowUp: from - 1,
      k: from - 1,
      ArrowDown: from + 1,
      j: from + 1,
      PageUp: from - page,
      PageDown: from + page,
      Home: 0,
      End: rows.length - 1,
    };
    const next = move[key];
    if (next !== undefined) moveTo(next);
    else if ((key === 'Enter' || key === ' ') && current !== null) setParams({ exchange: current });
    else return;
    event.preventDefault();
  };

  const hasCurrent = current !== null && items.some(({ index }) => rows[index]?.exchange === current);
  return (
    <div
      class="grid"
      role="grid"
      aria-label="Exchanges, oldest first"
      aria-rowcount={rows.length + 1}
      aria-colcount={COLUMNS.length}
      aria-activedescendant={hasCurrent ? `row-${current}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onFocus={() => {
        if (current === null) active.value = rows.at(-1)?.exchange ?? null;
      }}
    >
      <div role="rowgroup">
        <div class="row head" role="row" aria-rowindex={1}>
          {COLUMNS.map((title, index) => (
            <span key={title} role="columnheader" aria-colindex={index + 1}>
              {title}
            </span>
          ))}
        </div>
      </div>
      <div class="rows" role="rowgroup" ref={scroller} onScroll={onScroll}>
        <div class="space" role="presentation" style={{ height: `${totalPx}px` }}>
          {items.map(({ index, start }) => {
            const record = rows[index];
            return (
              record && (
                <Row
                  key={index % SLOTS}
                  record={record}
                  index={index}
                  startPx={start}
                  isActive={record.exchange === current}
                  isSelected={record.exchange === selected}
                />
              )
            );
          })}
        </div>
      </div>
    </div>
  );
}

interface RowProps {
  readonly record: Exchange;
  readonly index: number;
  readonly startPx: number;
  readonly isActive: boolean;
  readonly isSelected: boolean;
}

function Row({ record, index, startPx, isActive, isSelected }: RowProps) {
  const { exchange, started, client, method, authority, path, status, certificate, ms } = record;
  const open = (): void => {
    active.value = exchange;
    setParams({ exchange });
  };
  const classes = ['row', hasFailed(record) && 'failed', isActive && 'active', isSelected && 'selected'];
  return (
    <div
      id={`row-${exchange}`}
      class={classes.filter(Boolean).join(' ')}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      style={{ transform: `translateY(${startPx}px)` }}
      onClick={open}
    >
      <span role="gridcell" class="num">
        {clock(started)}
      </span>
      <span role="gridcell" class="num muted">
        {client}
      </span>
      <span role="gridcell">{method}</span>
      <span role="gridcell" class="target" title={`${authority}${path}`}>
        <b>{shortAuthority(authority)}</b>
        {path}
      </span>
      <span role="gridcell" class={`num ${statusTone(record)}`}>
        {status ?? '–'}
      </span>
      <span role="gridcell" class="clip">
        {certificate ?? <span class="muted">none</span>}
      </span>
      <span role="gridcell">
        <Badge {...verdictOf(record)} />
      </span>
      <span role="gridcell" class="num right">
        {Math.round(ms.total)}
      </span>
    </div>
  );
}
