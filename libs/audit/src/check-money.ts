/** Checks of a receipt's money and completeness: nothing missing, nothing left over. */
import type { Order, OrderRecord } from '#contracts';
import { formatAccount, formatAmount } from '#libs/kernel';
import { type Finding, failed, held, plural } from './finding.ts';
import type { Checkpoint } from './operator-log.ts';
import { type LogReading, entriesOf } from './read-log.ts';

const ENDED: readonly string[] = ['settled', 'refunded', 'cancelled'];

export function checkMoney(record: OrderRecord): Finding {
  const { order, state, escrow, paid, refunded, price, delivery } = record;
  const cap = order.priceCap;
  if (!ENDED.includes(state)) return failed(`the order has not ended: it is ${state}`);
  if (escrow !== 0n) return failed(`${formatAmount(escrow)} is still held although it ended`);
  if (paid + refunded !== cap)
    return failed(
      `paid ${formatAmount(paid)} and refunded ${formatAmount(refunded)} are not the ${formatAmount(cap)} held`,
    );
  if (state !== 'settled') {
    return paid === 0n
      ? held(`nothing was paid; all ${formatAmount(cap)} went back to the consumer`)
      : failed(`${formatAmount(paid)} was paid although the order was ${state}`);
  }
  if (!delivery || price === undefined || record.provider === undefined)
    return failed('the order was settled without a price, a provider or a delivery');
  if (price > cap) return failed(`the price ${formatAmount(price)} is above the cap`);
  if (delivery.charge > price)
    return failed(`the charge ${formatAmount(delivery.charge)} is above the price`);
  if (paid !== delivery.charge)
    return failed(
      `${formatAmount(paid)} was paid where ${formatAmount(delivery.charge)} was charged`,
    );
  return held(
    `of ${formatAmount(cap)} held, ${formatAmount(paid)} was paid to ${formatAccount(record.provider)} (price ${formatAmount(price)}) and ${formatAmount(refunded)} went back`,
  );
}

/** The market's last word on the money, as far as it has to match the chain's. */
function checkEnd(record: OrderRecord, log: LogReading, provenAtHeight: number): Finding {
  const settled = entriesOf(log, 'settled');
  const refunded = entriesOf(log, 'refunded');
  const [end] = [...settled, ...refunded];
  if (!end || settled.length + refunded.length !== 1)
    return failed('the log does not state exactly once how the order ended');
  if (end.data.height > provenAtHeight)
    return failed('the log states an end after the block that proves it');
  if (end.seq < (log.leases.at(-1)?.to ?? 0))
    return failed('the log goes on with work after its end');
  // Of an order of many tasks the market's account stands for its providers.
  const same =
    end.kind === 'settled'
      ? record.state === 'settled' &&
        end.data.paid === record.paid &&
        end.data.refunded === record.refunded &&
        (record.array !== undefined || end.data.provider === record.provider)
      : record.array !== undefined
        ? record.state !== 'settled'
        : record.state !== 'settled' && end.data.refunded === record.refunded;
  return same ? held('') : failed('the log states another end than the chain');
}

function checkBeginning(order: Order, log: LogReading): Finding {
  const [first, again] = entriesOf(log, 'accepted');
  if (first?.seq !== 0 || again) return failed('the log does not begin with accepting the order');
  const { consumer, manifest, priceCap, completeByUs } = first.data;
  const same =
    consumer === order.consumer &&
    manifest === order.manifest &&
    priceCap === order.priceCap &&
    completeByUs === order.completeByUs;
  return same ? held('') : failed('the log begins with accepting another order');
}

export function checkComplete(
  record: OrderRecord,
  log: LogReading,
  checkpoints: readonly Checkpoint[],
  provenAtHeight: number,
): Finding {
  const { length, head } = log.position;
  const last = checkpoints.at(-1)?.log;
  if (last?.length !== length || last.head !== head)
    return failed(
      `the anchored log ends at ${plural(last?.length ?? 0, 'entry', 'entries')}, the file holds ${length}`,
    );
  const beginning = checkBeginning(record.order, log);
  if (!beginning.ok) return beginning;
  const end = checkEnd(record, log, provenAtHeight);
  if (!end.ok) return end;
  return held(
    `all ${plural(length, 'entry', 'entries')} are here, from accepting the order to how it ended, and the last anchor covers them`,
  );
}
