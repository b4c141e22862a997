#include "optimization/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sartor {

double rate_at(const ScheduleConfig& schedule, int64_t step, int64_t steps) {
  const auto by_ratio = static_cast<int64_t>(std::ceil(static_cast<double>(steps) * schedule.warmup_ratio));
  const int64_t warmup = schedule.warmup_steps > 0 ? schedule.warmup_steps : by_ratio;
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(warmup);

  const auto since = static_cast<double>(step - warmup);
  const double part = std::min(1.0, since / static_cast<double>(std::max<int64_t>(1, steps - warmup)));
  switch (schedule.lr_scheduler_type) {
    case Schedule::linear:
      return 1 - part;
    case Schedule::cosine:
      return std::max(0.0, 0.5 * (1 + std::cos(2 * std::numbers::pi * schedule.lr_scheduler_cycles * part)));
    case Schedule::constant:
      return 1;
    case Schedule::polynomial:
      return (1 - schedule.lr_scheduler_end) * std::pow(1 - part, schedule.lr_scheduler_power) +
             schedule.lr_scheduler_end;
    case Schedule::inverse_sqrt: {
      const double timescale = warmup > 0 ? static_cast<double>(warmup) : 10'000;
      return std::sqrt(timescale / (since + timescale));
    }
  }
  return 1;
}

}  // namespace sartor
