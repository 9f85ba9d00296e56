package stock_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orderflow/orderflow/services/inventory"
	"github.com/orderflow/orderflow/services/inventory/internal/stock"
)

func TestAllocation(t *testing.T) {
	t.Parallel()
	has := func(warehouse string, priority int32, sku string, quantity int64) stock.Available {
		return stock.Available{SKU: sku, Warehouse: warehouse, Priority: priority, Quantity: quantity}
	}
	cases := map[string]struct {
		lines string
		stock []stock.Available
		want  string
	}{
		"the first by priority of those that have everything": {
			"A 2, B 1",
			[]stock.Available{has("x", 2, "A", 9), has("x", 2, "B", 9), has("y", 1, "A", 2), has("y", 1, "B", 1)},
			"1 y: A 2, B 1",
		},
		"of the same priority the first by code": {
			"A 1", []stock.Available{has("y", 1, "A", 9), has("x", 1, "A", 9)}, "1 x: A 1",
		},
		"one that has everything although others come first": {
			"A 2, B 2",
			[]stock.Available{has("x", 1, "A", 9), has("y", 2, "B", 9), has("z", 3, "A", 2), has("z", 3, "B", 2)},
			"1 z: A 2, B 2",
		},
		"two, numbered by priority and not by how much they give": {
			"A 2, B 2, C 2",
			[]stock.Available{has("x", 2, "A", 2), has("x", 2, "B", 2), has("y", 1, "C", 2)},
			"1 y: C 2; 2 x: A 2, B 2",
		},
		"a line is split where it must be": {
			"A 5", []stock.Available{has("x", 1, "A", 3), has("y", 2, "A", 4)}, "1 x: A 1; 2 y: A 4",
		},
		"a line is not split where it need not be": {
			"A 4, B 3",
			[]stock.Available{has("x", 1, "A", 2), has("x", 1, "B", 9), has("y", 2, "A", 9)},
			"1 x: B 3; 2 y: A 4",
		},
		"nothing if one line is short": {
			"A 1, B 3", []stock.Available{has("x", 1, "A", 9), has("x", 1, "B", 1), has("y", 1, "B", 1)}, "",
		},
		"nothing where there is nothing": {"A 1", nil, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fulfilments, ok := stock.Allocate(parseLines(c.lines), c.stock)
			require.Equal(t, c.want != "", ok)
			require.Equal(t, c.want, showFulfilments(fulfilments))
		})
	}
}

func TestAllocationKeepsItsPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines, available := drawLines(t), drawStock(t)
		fulfilments, ok := stock.Allocate(lines, available)

		total := map[string]int64{}
		for _, a := range available {
			total[a.SKU] += a.Quantity
		}
		enough := !slices.ContainsFunc(lines, func(l inventory.Line) bool { return total[l.SKU] < l.Quantity })
		if ok != enough {
			t.Fatalf("allocated: %v, enough is there: %v", ok, enough)
		}
		if !ok {
			if len(fulfilments) > 0 {
				t.Fatalf("all or nothing, not %v", fulfilments)
			}
			return
		}
		checkQuantities(t, lines, available, fulfilments)
		checkWarehouses(t, lines, available, fulfilments)
	})
}

// checkQuantities: no warehouse gives more than it has, none gives a part of a line that it has as a whole, and the sum
// is what was asked for.
func checkQuantities(
	t *rapid.T, lines []inventory.Line, available []stock.Available, fulfilments []inventory.Fulfilment,
) {
	sum := map[string]int64{}
	for _, f := range fulfilments {
		for _, l := range f.Lines {
			if l.Quantity <= 0 || l.Quantity > quantityIn(available, f.Warehouse, l.SKU) {
				t.Fatalf("%s gives %d of %s", f.Warehouse, l.Quantity, l.SKU)
			}
			sum[l.SKU] += l.Quantity
			if asked := lines[indexOf(lines, l.SKU)].Quantity; l.Quantity < asked &&
				quantityIn(available, f.Warehouse, l.SKU) >= asked {
				t.Fatalf("%s has all of %s and gives %d", f.Warehouse, l.SKU, l.Quantity)
			}
		}
	}
	for _, l := range lines {
		if sum[l.SKU] != l.Quantity {
			t.Fatalf("%d of %d %s", sum[l.SKU], l.Quantity, l.SKU)
		}
		delete(sum, l.SKU)
	}
	if len(sum) > 0 {
		t.Fatalf("nobody asked for %v", sum)
	}
}

// checkWarehouses: one is enough where one has everything, each is there once, in order of priority, with its lines in
// the order asked for.
func checkWarehouses(
	t *rapid.T, lines []inventory.Line, available []stock.Available, fulfilments []inventory.Fulfilment,
) {
	best := ""
	for _, w := range warehouses { // which are in order of priority
		has := func(l inventory.Line) bool { return quantityIn(available, w, l.SKU) < l.Quantity }
		if best == "" && !slices.ContainsFunc(lines, has) {
			best = w
		}
	}
	if best != "" && (len(fulfilments) != 1 || fulfilments[0].Warehouse != best) {
		t.Fatalf("%s has everything, and %v was chosen", best, fulfilments)
	}
	position := -1
	for i, f := range fulfilments {
		if f.ID != strconv.Itoa(i+1) {
			t.Fatalf("fulfilment %d is called %s", i+1, f.ID)
		}
		if p := slices.Index(warehouses, f.Warehouse); p <= position {
			t.Fatalf("not in order of priority: %v", fulfilments)
		} else {
			position = p
		}
		if len(f.Lines) == 0 || !slices.IsSortedFunc(f.Lines, func(a, b inventory.Line) int {
			return indexOf(lines, a.SKU) - indexOf(lines, b.SKU)
		}) {
			t.Fatalf("not in the order asked for: %v", f.Lines)
		}
	}
}

var (
	warehouses = []string{"w1", "w2", "w3", "w4"}
	skus       = []string{"A", "B", "C", "D", "E"}
)

func drawLines(t *rapid.T) []inventory.Line {
	chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(skus), 1, len(skus), rapid.ID[string]).Draw(t, "skus")
	lines := make([]inventory.Line, len(chosen))
	for i, sku := range chosen {
		lines[i] = inventory.Line{SKU: sku, Quantity: rapid.Int64Range(1, 12).Draw(t, "quantity of "+sku)}
	}
	return lines
}

func drawStock(t *rapid.T) []stock.Available {
	var all []stock.Available
	for i, w := range warehouses {
		for _, sku := range skus {
			if rapid.Bool().Draw(t, w+" keeps "+sku) {
				all = append(all, stock.Available{
					SKU: sku, Warehouse: w, Priority: int32(i + 1),
					Quantity: rapid.Int64Range(0, 12).Draw(t, sku+" in "+w),
				})
			}
		}
	}
	return rapid.Permutation(all).Draw(t, "stock")
}

func quantityIn(available []stock.Available, warehouse, sku string) int64 {
	for _, a := range available {
		if a.Warehouse == warehouse && a.SKU == sku {
			return a.Quantity
		}
	}
	return 0
}

func indexOf(lines []inventory.Line, sku string) int {
	return slices.IndexFunc(lines, func(l inventory.Line) bool { return l.SKU == sku })
}

func showFulfilments(fulfilments []inventory.Fulfilment) string {
	var s string
	for i, f := range fulfilments {
		if i > 0 {
			s += "; "
		}
		s += f.ID + " " + f.Warehouse + ": "
		for j, l := range f.Lines {
			if j > 0 {
				s += ", "
			}
			s += fmt.Sprintf("%s %d", l.SKU, l.Quantity)
		}
	}
	return s
}
