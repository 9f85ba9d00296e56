package store

// ListStatement is the statement that ListOrders sends.
var ListStatement = listStatement
