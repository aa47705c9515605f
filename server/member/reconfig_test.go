package member

import (
	"errors"
	"testing"
)

const three = "server.1=a:1:2:participant;a:3\nserver.2=b:1:2:participant;b:3\nserver.3=c:1:2:participant;c:3\nversion=9"

func must(t interface{ Fatal(...any) }, text string) Table {
	table, err := ParseTable([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestRequests(t *testing.T) {
	for name, test := range map[string]struct {
		request Request
		want    string // after the members of three that stay; or
		err     error
	}{
		"join":            {Request{Joining: "server.4=d:1:2;d:3", From: -1}, three[:93] + "server.4=d:1:2:participant;d:3\nversion=9", nil},
		"join twice":      {Request{Joining: "4=d:1:2:observer;3 , x.4=e:1:2;3", From: 9}, three[:93] + "server.4=e:1:2:participant;0.0.0.0:3\nversion=9", nil},
		"replace":         {Request{Joining: "server.3=c:1:2:observer;c:3", From: 9}, three[:62] + "server.3=c:1:2:observer;c:3\nversion=9", nil},
		"move":            {Request{Joining: "server.3=z:1:2;c:3", From: 9}, three[:62] + "server.3=z:1:2:participant;c:3\nversion=9", nil},
		"leave":           {Request{Leaving: "3,77, 999 ,-4", From: -1}, three[:62] + "version=9", nil},
		"take over":       {Request{Joining: "server.4=c:1:2;c:3", Leaving: "3", From: -1}, three[:62] + "server.4=c:1:2:participant;c:3\nversion=9", nil},
		"nothing":         {Request{From: -1}, three, nil},
		"whole":           {Request{Members: "server.2=b:1:2;b:3,server.1=a:1:2;a:3\nversion=77", From: -1}, three[:62] + "version=9", nil},
		"whole beats":     {Request{Members: three, Leaving: "x", From: -1}, three, nil},
		"version":         {Request{Leaving: "x", From: 8}, "", ErrVersion},
		"leaving word":    {Request{Leaving: "three", Joining: "x", From: -1}, "", ErrUnreadable},
		"joining word":    {Request{Joining: "server.x=d:1:2;3", From: -1}, "", ErrUnreadable},
		"no spec":         {Request{Joining: "server.4", From: -1}, "", ErrBadArguments},
		"two specs":       {Request{Joining: "server.4=a=b", From: -1}, "", ErrBadArguments},
		"no client port":  {Request{Joining: "server.4=d:1:2", From: -1}, "", ErrBadArguments},
		"one port":        {Request{Joining: "server.4=d:1:1;3", From: -1}, "", ErrBadArguments},
		"role":            {Request{Joining: "server.4=d:1:2:king;3", From: -1}, "", ErrBadArguments},
		"number":          {Request{Joining: "server.256=d:1:2;3", From: -1}, "", ErrBadArguments},
		"address taken":   {Request{Joining: "server.4=c:1:7;8", From: -1}, "", ErrBadArguments},
		"client taken":    {Request{Joining: "server.4=d:1:2;C:3", From: -1}, "", ErrBadArguments},
		"crosswise":       {Request{Joining: "server.4=c:3:9;8", From: -1}, "", ErrBadArguments},
		"one is left":     {Request{Leaving: "1,2", From: -1}, "", ErrBadArguments},
		"nobody is left":  {Request{Leaving: "1,2,3", From: -1}, "", ErrBadArguments},
		"whole word":      {Request{Members: "peerType=observer", From: -1}, "", ErrBadArguments},
		"whole groups":    {Request{Members: three + "\ngroup.1=1", From: -1}, "", ErrBadArguments},
		"whole number":    {Request{Members: "server.x=a:1:2;3", From: -1}, "", ErrUnreadable},
		"whole observers": {Request{Members: "server.1=a:1:2:observer;3", From: -1}, "", ErrUnreadable},
		"whole one":       {Request{Members: "server.1=a:1:2;3", From: -1}, "", ErrBadArguments},
		"whole clash":     {Request{Members: "server.1=a:1:2;3,server.2=a:1:4;5", From: -1}, "", ErrBadArguments},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.request.Target(must(t, three), 2)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err == nil && got.String() != test.want {
				t.Errorf("leads to\n%v\nwant\n%v", got, test.want)
			}
		})
	}
}

func TestGrovesOwnCommandShrinksToOne(t *testing.T) {
	got, err := Request{Leaving: "1,2", From: -1}.Target(must(t, three), 1)
	if err != nil || len(got.Members) != 1 {
		t.Errorf("%v, error %v", got, err)
	}
	if _, err := (Request{Leaving: "1,2,3", From: -1}).Target(must(t, three), 0); !errors.Is(err, ErrBadArguments) {
		t.Errorf("nobody is left: error %v", err)
	}
}

func TestServersOnOneMachine(t *testing.T) {
	table := must(t, "server.1=127.0.0.1:1:2;127.0.0.1:3\nserver.2=localhost:4:5;0.0.0.0:3\nversion=0")
	if _, err := Incremental(table, "server.3=127.0.0.1:6:2;3", ""); err != nil {
		t.Errorf("ports on loopback are not compared: %v", err)
	}
	if _, err := Incremental(table, "server.3=127.0.0.1:1:9;3", ""); !errors.Is(err, ErrBadArguments) {
		t.Errorf("two servers in one place: error %v", err)
	}
}
