/* SPDX-License-Identifier: MIT */
/* What the files of monitor/ that run inside an instance share. */
#ifndef RFORK_INSTANCE_H
#define RFORK_INSTANCE_H

#include <sys/types.h>
#include "../src/internal.h"
#include "../src/wire.h"
#include "messages.h"
#include "user.h"

/* self.c */
const struct rfork_self *rfork_self_inherited(void);
int rfork_self_prepare(void);
void rfork_self_set(const struct rfork_self *self);
void rfork_self_renew(const struct rfork_self *self);
int rfork_self_control(void);
void rfork_self_arrange(struct rfork_self *self, pid_t monitor, int death_signal);

/* keeper.c */
void rfork_keeper_start(const struct rfork_self *self, pid_t monitor);

/* waiting.c */
void rfork_self_hide(void);
void rfork_self_show(void);
void rfork_self_wait_turn(struct rfork_self *self, pid_t monitor, int death_signal, int from, uint32_t order);

#endif
