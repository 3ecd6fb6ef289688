/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A user without rights who sits at a terminal is asked for a password there, by polkit's own text
 * agent, which registers itself for our process and goes when we go.
 */

/* Starts pkttyagent if we are not root and on a terminal; once. That it is missing is no error: a
 * graphical agent may be there. */
void polkit_agent_open(void);
void polkit_agent_close(void);
