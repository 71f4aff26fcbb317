import type { ClientWritableStream } from '@grpc/grpc-js';
import { SystemError } from './errors.js';

/** Resolves when the message was handed to the connection; rejects when the call is over. */
export function writeMessage<Message>(call: ClientWritableStream<Message>, message: Message): Promise<void> {
  return new Promise((resolve, reject) => {
    const onOver = () => reject(new SystemError('STOA_UNREACHABLE', 'the call has ended'));
    call.once('close', onOver).once('error', onOver);
    call.write(message, () => {
      call.off('close', onOver).off('error', onOver);
      resolve();
    });
  });
}
