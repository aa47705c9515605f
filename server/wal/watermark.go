package wal

import (
	"errors"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/grovekeeper/grove/internal/disk"
)

// The watermark file holds one position up to which the log was durable when it was written:
//
//	 0          8     16       24    28
//	+----------+-----+--------+-----+
//	| grovmark | seq | offset | crc |    crc starts from the log's identity
//	+----------+-----+--------+-----+
//
// It is written over in place, after the flush it speaks of, and not flushed itself: whichever
// version a power cut leaves is true. What it adds to the witnesses in the log is that it lies
// elsewhere: a zeroed sector or a missing file at the very end of the log would take the
// acknowledged batch and the record after it together.
const (
	watermarkName  = "watermark"
	watermarkBytes = 28
	watermarkMagic = 0x6b72616d766f7267 // "grovmark"
)

func appendWatermark(b []byte, p position, id Identity) []byte {
	at := len(b)
	b = le.AppendUint64(b, watermarkMagic)
	b = le.AppendUint64(b, p.seq)
	b = le.AppendUint64(b, uint64(p.off))
	return le.AppendUint32(b, crc32.Update(markOf(id, 0), castagnoli, b[at:]))
}

func parseWatermark(b []byte, id Identity) (p position, ok bool) {
	ok = len(b) == watermarkBytes && le.Uint64(b) == watermarkMagic &&
		le.Uint32(b[24:]) == crc32.Update(markOf(id, 0), castagnoli, b[:24])
	if ok {
		p = position{le.Uint64(b[8:]), int64(le.Uint64(b[16:]))}
	}
	return p, ok
}

// readWatermark returns the noted position: zero if there is none, or none that can be
// believed. A damaged watermark is a witness less, not a damaged log.
func readWatermark(d disk.FS, path string, id Identity) (p position, found, ok bool, err error) {
	f, err := d.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, false, false, nil
	}
	if err != nil {
		return p, false, false, err
	}
	defer f.Close()
	var b [watermarkBytes]byte
	if err := readFull(f, b[:], 0); errors.Is(err, io.ErrUnexpectedEOF) {
		return p, true, false, nil
	} else if err != nil {
		return p, true, false, err
	}
	p, ok = parseWatermark(b[:], id)
	return p, true, ok, nil
}

// note writes the watermark, if it has moved or must be flushed.
func (l *Log) note(flush bool) error {
	l.work.Lock()
	defer l.work.Unlock()
	l.mu.Lock()
	p := l.durable
	l.mu.Unlock()
	if p == l.noted && !flush {
		return nil
	}
	if _, err := l.marker.WriteAt(appendWatermark(nil, p, l.opts.Identity), 0); err != nil {
		return err
	}
	l.noted = p
	if flush {
		return l.marker.Sync()
	}
	return nil
}

// openMarker opens the watermark file, making it if there is none, and notes where the log
// stands.
func (l *Log) openMarker() (err error) {
	path := l.path(watermarkName)
	if l.marker, err = l.fs.OpenRW(path); errors.Is(err, fs.ErrNotExist) {
		l.marker, err = l.fs.Create(path)
	}
	if err != nil {
		return err
	}
	if err := l.note(true); err != nil {
		return err
	}
	return l.fs.SyncDir(l.dir)
}
