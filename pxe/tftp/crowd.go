package tftp

import "log/slog"

// crowdTransfers is how many transfers at once are a crowd.
const crowdTransfers = 16

// crowd keeps the server from interrupting others while many transfers run. Each packet
// wakes it, and the kernel takes the processor from whoever has it for that; with a crowd
// another packet is always waiting, so it may as well take its turn and find several: 6 to
// 10 % more blocks with 100 clients. One machine alone would wait for that turn after each
// block.
type crowd struct {
	// transfers is how many run.
	transfers func() int
	// ask asks the kernel; what it returns ends that.
	ask func() (end func() error, err error)
	log *slog.Logger

	// asked ends what was asked for, nil before; refused is set when the kernel does not
	// want to be asked.
	asked   func() error
	refused bool
}

// look asks when there is a crowd, and ends that when there is none any more.
func (c *crowd) look() {
	if c.transfers() < crowdTransfers {
		c.end()
		return
	}
	if c.asked != nil || c.refused {
		return
	}
	end, err := c.ask()
	if err != nil {
		c.refused = true
		c.log.Debug("many transfers at once are slower where each packet interrupts", "err", err)
		return
	}
	c.asked = end
}

func (c *crowd) end() {
	if c.asked == nil {
		return
	}
	if err := c.asked(); err != nil {
		c.log.Warn("interrupt others again", "err", err)
	}
	c.asked = nil
}
