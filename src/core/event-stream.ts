/** Reads server-sent events from a stream, in pieces of any size; pure. */
export interface StreamEvent {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

export class EventParser {
  #rest = '';
  #id = '';

  /** The events that end in this piece. */
  push(text: string): StreamEvent[] {
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    return blocks.flatMap((block) => this.#parse(block));
  }

  #parse(block: string): StreamEvent[] {
    let event = 'message';
    const data: string[] = [];
    for (const line of block.split('\n')) {
      const [, field, value = ''] = /^([^:]+)(?:: ?(.*))?$/.exec(line) ?? [];
      if (field === 'id') this.#id = value;
      else if (field === 'event') event = value;
      else if (field === 'data') data.push(value);
    }
    return data.length === 0 ? [] : [{ id: this.#id, event, data: data.join('\n') }];
  }
}
