package stack

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

//go:embed seed.csv
var stock []byte

// seed puts demo stock into an inventory that has none, through its API: the database is not ours.
func seed(ctx context.Context, inventory string) (seeded bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()

	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	body, err := call(ctx, http.MethodGet, inventory+"/v1/stock?limit=1", "", nil)
	if err == nil {
		err = json.Unmarshal(body, &list)
	}
	if err != nil {
		return false, fmt.Errorf("ask inventory for its stock: %w", err)
	}
	if len(list.Items) > 0 {
		return false, nil
	}
	if _, err := call(ctx, http.MethodPut, inventory+"/v1/stock", "text/csv", stock); err != nil {
		return false, fmt.Errorf("put the demo stock into inventory: %w", err)
	}
	return true, nil
}

func call(ctx context.Context, method, url, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s answered %s: %s", method, url, response.Status, strings.TrimSpace(string(answer)))
	}
	return answer, nil
}

// answers returns a check that the URL is answered with 200.
func answers(url string) func(context.Context) error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}
