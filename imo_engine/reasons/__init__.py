"""Why a spectrum is odd: what is significant, what stands out, and whether source or instrument made it."""
