import type { DnsRelay } from "./dns-relay.ts";
import type { HostStream, StreamEvents } from "./host-network.ts";

/** Bytes of unanswered questions that one connection may have. */
const MOST_WAITING = 65_536;
const NONE = new Uint8Array(0);

/** DNS over TCP: messages with their lengths before them (RFC 7766, section 8). Behaves as a stream of the host. */
export function openDnsStream(relay: DnsRelay, events: StreamEvents, host: Later): HostStream {
  let waiting = NONE;
  let pending = 0;
  let over = false;
  let ending = false;
  const finish = (): void => {
    if (over || !ending || pending > 0) return;
    over = true;
    events.ended();
    events.closed();
  };
  const answer = async (query: Uint8Array): Promise<void> => {
    pending++;
    const message = await relay.answer(query, "tcp");
    pending--;
    if (over) return;
    if (message !== undefined) {
      const framed = new Uint8Array(2 + message.length);
      framed.set([message.length >> 8, message.length & 0xff]);
      framed.set(message, 2);
      events.data(framed);
    }
    finish();
  };
  host.after(0, () => {
    if (!over) events.connected();
  });
  return {
    write(bytes) {
      const joined = new Uint8Array(waiting.length + bytes.length);
      joined.set(waiting);
      joined.set(bytes, waiting.length);
      let at = 0;
      while (joined.length - at >= 2) {
        const length = (joined[at]! << 8) | joined[at + 1]!;
        if (joined.length - at < 2 + length) break;
        void answer(joined.slice(at + 2, at + 2 + length));
        at += 2 + length;
      }
      waiting = joined.slice(at);
      events.written(bytes.length);
      if (waiting.length <= MOST_WAITING || over) return;
      over = true;
      events.failed("reset");
    },
    end() {
      ending = true;
      finish();
    },
    pause() {},
    resume() {},
    leave() {
      if (over) return;
      over = true;
      events.failed("reset");
    },
    reset() {
      over = true;
    },
  };
}

interface Later {
  after(milliseconds: number, callback: () => void): () => void;
}
