/* SPDX-License-Identifier: MIT */
/* NMEA 0183 sentences: from bytes to a position. Knows nothing of ports or files. */
#ifndef GPS_NMEA_H
#define GPS_NMEA_H

#include <stdbool.h>
#include <stddef.h>

/* The standard allows 82 characters with "$" and CR LF; some receivers send more. */
#define NMEA_MAX 120

struct gps_fix {
	bool valid;			/* a position has been seen and the last RMC did not void it */
	double latitude, longitude;	/* degrees, north and east positive */
	double speed_kn, course;	/* knots; degrees true */
	double altitude_m, hdop;
	int satellites;
	char time[32];			/* ISO 8601, UTC; "" until an RMC has told the date */
};

struct nmea_reader {
	char line[NMEA_MAX + 1];
	size_t length;
	bool overlong;			/* throw away up to the next line end */
	unsigned long sentences;	/* whole, with a right checksum */
	unsigned long garbled;		/* dropped: too long, no or a wrong checksum, a field out of range */
	struct gps_fix fix;
};

/* Feed bytes as they come, in any pieces. Returns how many GGA and RMC sentences changed the fix. */
int nmea_feed(struct nmea_reader *reader, const char *bytes, size_t count);

/* One line without its end; false: garbled. *changed: it was a GGA or RMC that was taken over. */
bool nmea_line(struct gps_fix *fix, char *line, bool *changed);

#endif
