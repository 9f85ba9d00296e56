// Package shipment books parcels with a carrier and calls them off. It owns the states of a shipment and the one hard
// rule of this service: our books and the carrier's agree as soon as nobody is at work on a shipment, whoever crashed,
// raced or answered late in between. It must not know about HTTP, Temporal, or which carrier it talks to.
//
// # Book and Cancel at the same time
//
// Two companies' books cannot change in one transaction, so the order of things is all there is. The shipment's row is
// the only place where Book and Cancel meet, and each change of it is made under the row's lock.
//
// Book, before it submits, claims an attempt in the row, and can do so only if the row is not being called off and no
// other attempt is under way. The attempt has an end by the database's clock, and the submission's deadline is well
// before that end: after it nothing can reach the carrier any more. When the carrier has answered, its ticket goes into
// the row and the attempt out of it, in one transaction. What the carrier says by and by is written into the row only
// if it is not being called off.
//
// Cancel first commits its intent (cancelling), and only then asks the carrier: by the ticket in the row, else by the
// key. It writes down that the shipment is cancelled when the carrier has called the ticket off, or has never heard of
// the key although no attempt was under way when it was asked.
//
// So whichever comes first at the row decides:
//
//   - The intent before the claim: nothing is ever submitted.
//   - The claim before the intent, and the carrier has the parcel already: Cancel finds it by key and calls it off.
//     Book gets its answer, finds the row cancelled, and reports that.
//   - The claim before the intent, and the submission is still on its way: the carrier does not know the key. That
//     proves nothing, so Cancel fails with shipping.ErrOutcomeUnknown and is tried again, until Book has written down
//     its answer or the attempt is over. Book, when it has its answer, sees the intent and calls off by itself.
//   - The confirmation before the intent: Cancel finds a booked shipment and calls it off.
//   - The intent before the confirmation: Book cannot write it down any more, and calls off by itself. That both do so
//     is harmless.
//
// A process that dies leaves its attempt in the row. Whoever comes next asks the carrier for the key, and submits only
// when the attempt is over and the carrier still does not know it. A process that was frozen, and submits after all
// deadlines, finds a cancelled row when it writes down its ticket. The row then says that a ticket of a cancelled
// shipment is live, and whoever meets such a row calls it off: that Book itself, any later Book or Cancel, or Recover.
//
// A Booking is reported only from a row that is booked, and a row becomes booked only with the tracking number that the
// carrier confirmed.
package shipment
