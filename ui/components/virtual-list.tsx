import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type VirtualItem,
  Virtualizer,
} from '@tanstack/virtual-core';
import { useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks';
import type { RefObject } from 'preact';

/** Rows beyond the window on each side: a page of scrolling by keyboard shows no gap, and the document stays small. */
const OVERSCAN = 10;

export interface VirtualRows {
  readonly items: readonly VirtualItem[];
  readonly totalPx: number;
  readonly virtualizer: Virtualizer<HTMLDivElement, Element>;
}

/** Which rows of a long list are in view. All are of one height, so nothing is measured. */
export function useVirtualRows(
  scroller: RefObject<HTMLDivElement | null>,
  rowCount: number,
  rowPx: number,
): VirtualRows {
  const [, update] = useReducer<number, void>((count) => count + 1, 0);
  const options = {
    count: rowCount,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowPx,
    overscan: OVERSCAN,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => update(),
  };
  const [virtualizer] = useState(() => new Virtualizer<HTMLDivElement, Element>(options));
  const last = useRef(rowPx);
  virtualizer.setOptions(options);
  useLayoutEffect(() => virtualizer._didMount(), []);
  useLayoutEffect(() => {
    if (last.current !== rowPx) virtualizer.measure();
    last.current = rowPx;
    virtualizer._willUpdate();
  });
  return { items: virtualizer.getVirtualItems(), totalPx: virtualizer.getTotalSize(), virtualizer };
}
