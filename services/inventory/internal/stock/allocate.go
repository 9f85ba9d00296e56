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
// everything; else from as few warehouses as it finds by asking at each step the one that helps most, in which case the
// quantity of a line may be split. Every line names another SKU. The fulfilments are in order of the warehouses'
// priority, each with its lines in the order asked for. If anything is short nothing is allocated: ok is false.
func Allocate(lines []inventory.Line, stock []Available) (fulfilments []inventory.Fulfilment, ok bool) {
	open := make(map[string]int64, len(lines))
	for _, l := range lines {
		open[l.SKU] = l.Quantity
	}
	candidates := candidatesOf(stock)
	var chosen []*candidate
	for len(open) > 0 {
		// Asked in order of priority: of equals the first is the best.
		var best *candidate
		for _, c := range candidates {
			c.measure(open)
			if best == nil || c.helpsMoreThan(best) {
				best = c
			}
		}
		if best == nil || best.pieces == 0 {
			return nil, false
		}
		best.take(open)
		chosen = append(chosen, best)
	}
	slices.SortFunc(chosen, byPriority)
	for i, c := range chosen {
		f := inventory.Fulfilment{ID: strconv.Itoa(i + 1), Warehouse: c.warehouse}
		for _, l := range lines {
			if taken := c.taken[l.SKU]; taken > 0 {
				f.Lines = append(f.Lines, inventory.Line{SKU: l.SKU, Quantity: taken})
			}
		}
		fulfilments = append(fulfilments, f)
	}
	return fulfilments, true
}

// candidate is a warehouse that may be asked.
type candidate struct {
	warehouse string
	priority  int32
	has       map[string]int64
	taken     map[string]int64
	// completes is how many of the open lines it can end, pieces how much of them it has.
	completes int
	pieces    int64
}

func candidatesOf(stock []Available) []*candidate {
	byCode := make(map[string]*candidate)
	var all []*candidate
	for _, a := range stock {
		c := byCode[a.Warehouse]
		if c == nil {
			c = &candidate{warehouse: a.Warehouse, priority: a.Priority, has: map[string]int64{}, taken: map[string]int64{}}
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
		has := c.has[sku]
		if has >= quantity {
			c.completes++
		}
		c.pieces += min(has, quantity)
	}
}

// helpsMoreThan is true of a warehouse that has everything against any that has not: it ends all lines.
func (c *candidate) helpsMoreThan(other *candidate) bool {
	return cmp.Or(cmp.Compare(c.completes, other.completes), cmp.Compare(c.pieces, other.pieces)) > 0
}

func (c *candidate) take(open map[string]int64) {
	for sku, quantity := range open {
		taken := min(c.has[sku], quantity)
		c.has[sku] -= taken
		c.taken[sku] += taken
		if open[sku] -= taken; open[sku] == 0 {
			delete(open, sku)
		}
	}
}
