// The log, which datasets/ uses too.
#pragma once

#include "schema/log.h"
