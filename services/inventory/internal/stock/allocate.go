package stock

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/orderflow/orderflow/services/inventory"
)

// Available is what one warehouse can still give of one article.
type Available struct {
	SKU       string
	Warehouse string
	// Priority of the warehouse: 1 is asked first.
	Priority int32
	// Quantity in pieces, never negative.
	Quantity int64
}

// Allocate decides which warehouse gives what. It takes everything from the first warehouse, by priority, that has
// everything; else from as few warehouses as it finds by choosing at each step the one that helps most. A line is split
// only where none of those has all of it. Every line names another SKU. The fulfilments are in order of the warehouses'
// priority, each with its lines in the order asked for. If anything is short nothing is allocated: ok is false.
func Allocate(lines []inventory.Line, stock []Available) (fulfilments []inventory.Fulfilment, ok bool) {
	chosen := choose(lines, candidatesOf(stock))
	if chosen == nil {
		return nil, false
	}
	for _, l := range lines {
		whole := slices.IndexFunc(chosen, func(c *candidate) bool { return c.has[l.SKU] >= l.Quantity })
		if whole >= 0 {
			chosen[whole].give(l.SKU, l.Quantity)
			continue
		}
		for _, c := range chosen {
			l.Quantity -= c.give(l.SKU, l.Quantity)
		}
	}
	// One may not be needed any more: all that it had was part of lines that others have as a whole.
	chosen = slices.DeleteFunc(chosen, func(c *candidate) bool { return len(c.gives) == 0 })
	slices.SortFunc(chosen, byPriority)
	for i, c := range chosen {
		fulfilments = append(fulfilments, inventory.Fulfilment{
			ID: strconv.Itoa(i + 1), Warehouse: c.warehouse, Lines: c.gives,
		})
	}
	return fulfilments, true
}

// choose returns warehouses that have everything together, or nil.
func choose(lines []inventory.Line, candidates []*candidate) []*candidate {
	open := make(map[string]int64, len(lines))
	for _, l := range lines {
		open[l.SKU] = l.Quantity
	}
	var chosen []*candidate
	for len(open) > 0 {
		var best *candidate
		for _, c := range candidates { // in order of priority: of equals the first is the best
			c.measure(open)
			if best == nil || c.helpsMoreThan(best) {
				best = c
			}
		}
		if best == nil || best.pieces == 0 {
			return nil
		}
		for sku, quantity := range open {
			if open[sku] -= min(best.has[sku], quantity); open[sku] == 0 {
				delete(open, sku)
			}
		}
		chosen = append(chosen, best)
		candidates = slices.DeleteFunc(candidates, func(c *candidate) bool { return c == best })
	}
	return chosen
}

// candidate is a warehouse that may be asked.
type candidate struct {
	warehouse string
	priority  int32
	has       map[string]int64
	gives     []inventory.Line
	// completes is how many of the open lines it can end, pieces how much of them it has.
	completes int
	pieces    int64
}

// candidatesOf returns the warehouses in order of priority.
func candidatesOf(stock []Available) []*candidate {
	byCode := make(map[string]*candidate)
	var all []*candidate
	for _, a := range stock {
		c := byCode[a.Warehouse]
		if c == nil {
			c = &candidate{warehouse: a.Warehouse, priority: a.Priority, has: map[string]int64{}}
			byCode[a.Warehouse] = c
			all = append(all, c)
		}
		c.has[a.SKU] = a.Quantity
	}
	slices.SortFunc(all, byPriority)
	return all
}

func byPriority(a, b *candidate) int {
	return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.warehouse, b.warehouse))
}

func (c *candidate) measure(open map[string]int64) {
	c.completes, c.pieces = 0, 0
	for sku, quantity := range open {
		if c.has[sku] >= quantity {
			c.completes++
		}
		c.pieces += min(c.has[sku], quantity)
	}
}

// helpsMoreThan is true of a warehouse that has everything against any that has not: it ends all lines.
func (c *candidate) helpsMoreThan(other *candidate) bool {
	return cmp.Or(cmp.Compare(c.completes, other.completes), cmp.Compare(c.pieces, other.pieces)) > 0
}

// give returns how much of the quantity the warehouse gives.
func (c *candidate) give(sku string, quantity int64) int64 {
	given := min(c.has[sku], quantity)
	if given > 0 {
		c.gives = append(c.gives, inventory.Line{SKU: sku, Quantity: given})
	}
	return given
}
