/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* MESSAGE_ID= of our life-cycle events in the journal; units/ctr.catalog explains each. */

#define CTR_MESSAGE_CONTAINER_CREATED "cb648ae35c3148fda18fa6e33a604df4"
#define CTR_MESSAGE_CONTAINER_REMOVED "58692b566ee44714af57dbf8887af949"
#define CTR_MESSAGE_TASK_STARTED      "a585b44e721f4f69be2b3c9a5c8d8d16"
#define CTR_MESSAGE_TASK_EXITED       "769e7a3542144649834475449073dfc0"
#define CTR_MESSAGE_IMAGE_PULLED      "6617ef1c75ba4c97bdab0d197ea3a9ef"
#define CTR_MESSAGE_IMAGE_REMOVED     "0febc275c09e4020920d29669667092a"
