import http from "node:http";
import https from "node:https";
import { HttpProxyAgent } from "http-proxy-agent";
import { HttpsProxyAgent } from "https-proxy-agent";
import { getProxyForUrl } from "proxy-from-env";
import { UserError } from "../../base/errors.ts";

/** Milliseconds without a byte after which a connection counts as broken. */
const IDLE_LIMIT = 30_000;
const MOST_REDIRECTIONS = 8;

/** The network, or the server, did not do its part; worth another try, unlike a {@link UserError}. */
export class NetworkError extends UserError {
  /** Status of the answer, where there was one. */
  readonly status: number | undefined;

  constructor(sentence: string, options: { status?: number; cause?: unknown } = {}) {
    super(sentence, { cause: options.cause });
    this.status = options.status;
  }
}

/** An answer whose body has not been read yet. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: http.IncomingMessage;
}

/**
 * Asks for `url`, from byte `from` on where that is above 0, following redirections, through the proxy that
 * http_proxy, https_proxy and no_proxy name. Any status from 400 up except 416 is a {@link NetworkError}.
 */
export async function httpGet(url: string, from = 0): Promise<HttpAnswer> {
  let address = url;
  for (let redirections = 0; redirections <= MOST_REDIRECTIONS; redirections++) {
    const answer = await requestOnce(address, from);
    const location = answer.headers.location;
    if (answer.status >= 300 && answer.status < 400 && location !== undefined) {
      answer.body.resume();
      address = new URL(location, address).href;
      continue;
    }
    if (answer.status >= 400 && answer.status !== 416) {
      answer.body.destroy();
      throw new NetworkError(
        `${address} answers ${answer.status} ${http.STATUS_CODES[answer.status] ?? ""}; check the mirror's address or name another one with --mirror URL.`,
        { status: answer.status },
      );
    }
    return answer;
  }
  throw new NetworkError(
    `${url} redirects more than ${MOST_REDIRECTIONS} times; name another mirror with --mirror URL.`,
  );
}

function requestOnce(address: string, from: number): Promise<HttpAnswer> {
  const secure = address.startsWith("https:");
  const proxy = getProxyForUrl(address);
  const headers: http.OutgoingHttpHeaders = { "user-agent": "elvisor", "accept-encoding": "identity" };
  if (from > 0) headers["range"] = `bytes=${from}-`;
  const options: https.RequestOptions = { headers, timeout: IDLE_LIMIT };
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => reject(unreachable(address, proxy, cause));
    let request: http.ClientRequest;
    try {
      if (proxy !== "") options.agent = secure ? new HttpsProxyAgent(proxy) : new HttpProxyAgent(proxy);
      request = (secure ? https : http).get(address, options);
    } catch (cause) {
      fail(cause);
      return;
    }
    request.on("error", fail);
    request.on("timeout", () => request.destroy(new Error(`no byte for ${IDLE_LIMIT / 1000} seconds`)));
    request.on("response", (body) => resolve({ status: body.statusCode ?? 0, headers: body.headers, body }));
  });
}

/** The sentence for a connection that did not come about or broke. */
export function unreachable(address: string, proxy: string, cause: unknown): NetworkError {
  const through = proxy === "" ? "" : ` through the proxy ${new URL(proxy).host}`;
  return new NetworkError(
    `${address} cannot be reached${through} (${networkReason(cause)}); check the network or name another mirror with --mirror URL.`,
    { cause },
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: "its host name is unknown",
  EAI_AGAIN: "its host name cannot be looked up",
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection broke",
  ETIMEDOUT: "it did not answer in time",
  ENETUNREACH: "there is no network",
  EHOSTUNREACH: "there is no way to it",
};

function networkReason(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return (
    REASONS[code] ??
    (cause instanceof Error && cause.message !== "" ? cause.message : code || "no reason given")
  );
}

/** Reads a whole small answer (at most `limit` bytes). */
export async function httpGetBytes(url: string, limit: number): Promise<Uint8Array> {
  const answer = await httpGet(url);
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of answer.body as AsyncIterable<Uint8Array>) {
      length += piece.length;
      if (length > limit)
        throw new UserError(`${url} is larger than ${limit} bytes, which it should not be.`);
      pieces.push(piece);
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw unreachable(url, getProxyForUrl(url), cause);
  }
  return Buffer.concat(pieces);
}
