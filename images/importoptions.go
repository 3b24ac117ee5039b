package images

import "ingot/images/master"

// ImportOptions describes an image that is brought in. Name and Traits are required.
type ImportOptions struct {
	// Name and Version name the image; Version is for people and may be empty.
	Name, Version string
	// Format is the disk's in the file; empty is found from its first bytes. Around it
	// may be gzip, xz, bzip2 or zstd.
	Format Format
	// SHA256 is what the file must hash to; the zero value checks nothing.
	SHA256 master.Digest
	// MaxBytes is the largest disk; 0 is 1 TiB, and for a compressed file no more than
	// 8 GiB and 100 times the file, so that a small file of zeros does not take an hour.
	MaxBytes int64
	// Traits is what the image can do. SectorBytes 0 is found from where the partition
	// table is, and 512 without one.
	master.Traits
	// Origin is where it comes from, for people; empty is "import of FILE".
	Origin string
	// RecipeDigest, InputsDigest and Builder are what it was built from and by; zero for
	// none.
	RecipeDigest, InputsDigest master.Digest
	Builder                    string
	// Files are documents that are kept beside the image, by name; FilePaths are such
	// that are copied from a path.
	Files     map[string][]byte
	FilePaths map[string]string
	// SkipUnchanged returns the newest image of the name as it is when its disk and
	// traits are the same, and stores nothing.
	SkipUnchanged bool
	// Channels are moved to the image once it is stored; Why is for their history.
	Channels []string
	Why      string
	// Level is the zstd level, 0 for the default.
	Level int
	// Later leaves the compression to [Store.Compress], if there is room for the whole disk:
	// the image is there sooner, and is used meanwhile as it is. A compressed raw disk,
	// which is read as it is unpacked, is compressed at once.
	Later bool
	// Progress is called from one goroutine at a time; nil is allowed.
	Progress func(ImportProgress)
}

const defaultMaxBytes = 1 << 40

func (o ImportOptions) maxBytes() int64 {
	if o.MaxBytes > 0 {
		return o.MaxBytes
	}
	return defaultMaxBytes
}

// ImportProgress counts what an import did in its step.
type ImportProgress struct {
	// Step is "download", "check", "convert", "compress", or "store" for what is compressed
	// later.
	Step string
	// DoneBytes of TotalBytes; TotalBytes is 0 when not known.
	DoneBytes, TotalBytes int64
}

func (o ImportOptions) report(step string, done, total int64) {
	if o.Progress != nil {
		o.Progress(ImportProgress{step, done, total})
	}
}
