import { createSocket, type Socket } from "node:dgram";
import type { DatagramEvents, HostDatagrams, HostListener } from "../../network/host-network.ts";
import { bindError } from "./streams.ts";

/** Datagrams that one socket may have waiting; more are lost, as on a busy network. */
const MOST_WAITING = 256;

/** UDP with a port that the system chooses. */
export function openDatagrams(version: 4 | 6, events: DatagramEvents): HostDatagrams {
  const socket = newSocket(version);
  const opened = datagramsOf(socket, events);
  socket.on("error", () => {
    opened.close();
    events.failed();
  });
  return opened;
}

/** UDP at an address and port; one that is not to be had is a UserError. */
export async function bindDatagrams(
  address: string,
  port: number,
  events: DatagramEvents,
): Promise<HostDatagrams & HostListener> {
  const socket = newSocket(address.includes(":") ? 6 : 4);
  await new Promise<void>((resolve, reject) => {
    socket.once("error", (cause) => reject(bindError(address, port, "udp", cause)));
    socket.bind({ address, port, exclusive: true }, resolve);
  });
  socket.on("error", () => {});
  return { ...datagramsOf(socket, events), port: socket.address().port };
}

function newSocket(version: 4 | 6): Socket {
  return createSocket(version === 4 ? { type: "udp4" } : { type: "udp6", ipv6Only: true });
}

function datagramsOf(socket: Socket, events: DatagramEvents): HostDatagrams {
  let waiting = 0;
  let open = true;
  socket.unref();
  socket.on("message", (bytes, { address, port }) => {
    if (open) events.data(bytes, address, port);
  });
  return {
    send(bytes, address, port) {
      if (!open || waiting >= MOST_WAITING) return false;
      waiting++;
      // What cannot be sent is lost; UDP promises nothing else.
      socket.send(bytes, port, address, () => {
        waiting--;
      });
      return true;
    },
    close() {
      if (!open) return;
      open = false;
      socket.close();
    },
  };
}
