package eventbus

import "time"

// WithAckWait shortens the time after which the server gives up on a consumer.
func (c Consumer) WithAckWait(d time.Duration) Consumer {
	c.ackWait = d
	return c
}
