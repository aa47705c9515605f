package trust

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// part is one attribute of a name, as bytes under a tag.
type part struct {
	number asn1.ObjectIdentifier
	tag    int
	text   string
}

var (
	cn    = asn1.ObjectIdentifier{2, 5, 4, 3}
	org   = asn1.ObjectIdentifier{2, 5, 4, 10}
	unit  = asn1.ObjectIdentifier{2, 5, 4, 11}
	land  = asn1.ObjectIdentifier{2, 5, 4, 6}
	state = asn1.ObjectIdentifier{2, 5, 4, 8}
	dc    = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	uid   = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	email = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	sn    = asn1.ObjectIdentifier{2, 5, 4, 4}
)

const (
	utf8String = asn1.TagUTF8String
	printable  = asn1.TagPrintableString
	ia5        = asn1.TagIA5String
	t61        = asn1.TagT61String
	bmp        = asn1.TagBMPString
	universal  = 28
)

// der encodes a name: its parts from the first on, several in one where a slice has several.
func der(t testing.TB, name ...[]part) []byte {
	t.Helper()
	sequence := []attributeSET{}
	for _, parts := range name {
		set := attributeSET{}
		for _, p := range parts {
			set = append(set, attribute{p.number, asn1.RawValue{Tag: p.tag, Bytes: []byte(p.text)}})
		}
		sequence = append(sequence, set)
	}
	b, err := asn1.Marshal(sequence)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The answers are Java 17's.
func TestNamesAreWrittenAsJavaWritesThem(t *testing.T) {
	one := func(tag int, text string) [][]part { return [][]part{{{cn, tag, text}}} }
	for _, test := range []struct {
		name [][]part
		want string
	}{
		{nil, ""},
		{[][]part{{{land, printable, "DE"}}, {{org, utf8String, "Grove"}}, {{cn, utf8String, "zk-1"}}}, "CN=zk-1,O=Grove,C=DE"},
		{[][]part{{{dc, ia5, "org"}}, {{dc, ia5, "grove"}}, {{uid, utf8String, "ada"}}}, "UID=ada,DC=grove,DC=org"},
		{[][]part{{{cn, utf8String, "a"}, {uid, utf8String, "b"}}, {{state, utf8String, "c"}}}, "ST=c,CN=a+UID=b"},
		{[][]part{{{email, ia5, "a@b"}}, {{cn, utf8String, "a"}}}, "CN=a,1.2.840.113549.1.9.1=#1603614062"},
		{[][]part{{{sn, utf8String, "L"}}}, "2.5.4.4=#0c014c"},
		{one(utf8String, ""), "CN="},
		{one(utf8String, `a,b=c+d<e>f#g;h"i\j`), `CN=a\,b\=c\+d\<e\>f\#g\;h\"i\\j`},
		{one(utf8String, "  a  b "), `CN=\ \ a  b\ `},
		{one(utf8String, " "), `CN=\ `},
		{one(utf8String, "\ra\t"), "CN=\\\ra\t"},
		{one(utf8String, "a\x00b"), `CN=a\00b`},
		{one(utf8String, "Jürgen 木"), "CN=Jürgen 木"},
		{one(utf8String, "\U0001F333"), "CN=\U0001F333"},
		{one(t61, "M\xfcller"), "CN=M\uFFFDller"},
		{one(utf8String, "\xe2\x82x\xf0\x9f\x8c\xff\xe0\x80"), "CN=\uFFFDx\uFFFD\uFFFD\uFFFD\uFFFD"},
		{one(bmp, "\x00A"), `CN=\00A`},
		{one(utf8String, "\xed\xa0\x80\xed\xa0a"), "CN=\uFFFD\uFFFDa"},
		{one(universal, "\x00\x00\x00A"), "CN=#1c0400000041"},
		{one(asn1.TagNumericString, "12"), "CN=#12023132"},
	} {
		got, ok := nameOf(der(t, test.name...))
		if !ok || got != test.want {
			t.Errorf("%v is %q, want %q", test.name, got, test.want)
		}
	}
}

func TestWhatIsNoNameIsNobody(t *testing.T) {
	for _, b := range [][]byte{nil, {0x30}, {0x04, 0x00}, {0x30, 0x00, 0x00}, {0x30, 0x02, 0x31, 0x05}} {
		if name, ok := nameOf(b); ok {
			t.Errorf("%x is %q", b, name)
		}
	}
}

// TestNamesAgainstJava asks Java itself about names that nobody would think of.
func TestNamesAgainstJava(t *testing.T) {
	if os.Getenv("GROVE_INTEROP") == "" {
		t.Skip("set GROVE_INTEROP=1 to ask Java")
	}
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("there is no java")
	}
	r := rand.New(rand.NewPCG(1, 2))
	var questions bytes.Buffer
	var want []string
	for range 5000 {
		b := der(t, randomName(r)...)
		questions.WriteString(hex.EncodeToString(b) + "\n")
		name, ok := nameOf(b)
		if want = append(want, hex.EncodeToString([]byte(name))); !ok {
			t.Fatalf("%x is no name", b)
		}
	}
	java := exec.Command("java", "testdata/Names.java")
	java.Stdin, java.Stderr = &questions, os.Stderr
	out, err := java.Output()
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for i, said := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if said != "refused" && said != want[i] && wrong < 10 {
			wrong++
			a, _ := hex.DecodeString(said)
			b, _ := hex.DecodeString(want[i])
			t.Errorf("Java says %q, we say %q", a, b)
		}
	}
}

func randomName(r *rand.Rand) [][]part {
	numbers := []asn1.ObjectIdentifier{cn, org, unit, land, state, dc, uid, email, sn}
	tags := []int{utf8String, utf8String, printable, ia5, t61, bmp, asn1.TagNumericString, universal}
	pieces := []string{"a", "Z", " ", "  ", ",", "=", "+", "<", ">", "#", ";", `"`, `\`, "\x00", "\r", "\n", "\t", "é", "木",
		"\U0001F333", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f", "\xf4\x90", "\xed\xa0\x80", "\xc0\x80", "'", "?", "*", "@"}
	var name [][]part
	for range r.IntN(4) {
		var set []part
		for range 1 + r.IntN(2) {
			text := ""
			for range r.IntN(6) {
				text += pieces[r.IntN(len(pieces))]
			}
			set = append(set, part{numbers[r.IntN(len(numbers))], tags[r.IntN(len(tags))], text})
		}
		name = append(name, set)
	}
	return name
}
