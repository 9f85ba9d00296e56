package httpapi

// Asked is what handlers make of a decoded body.
var Asked = asked
