// Learning rate schedules, numerically equal to those of Hugging Face's Trainer.
#pragma once

#include <array>
#include <cstdint>

#include "schema/fields.h"

namespace sartor {

enum class Schedule { linear, cosine, constant, polynomial, inverse_sqrt };
constexpr auto choices(Schedule) {
  return std::to_array<Choice<Schedule>>({{"linear", Schedule::linear},
                                          {"cosine", Schedule::cosine},
                                          {"constant", Schedule::constant},
                                          {"polynomial", Schedule::polynomial},
                                          {"inverse_sqrt", Schedule::inverse_sqrt}});
}

struct ScheduleConfig {
  Schedule lr_scheduler_type = Schedule::linear;
  double warmup_ratio = 0;
  int64_t warmup_steps = 0;
  double lr_scheduler_power = 1;
  double lr_scheduler_end = 0;
  double lr_scheduler_cycles = 0.5;

  template <class Fields> void describe(Fields& field) {
    field("lr_scheduler_type", lr_scheduler_type, "Shape of the learning rate decay after warm-up.");
    field("warmup_ratio", warmup_ratio, between(0, 1),
          "Warm-up as a share of all steps; the rate rises linearly from 0.");
    field("warmup_steps", warmup_steps, at_least(0), "Warm-up in steps; overrides warmup_ratio if not 0.");
    field("lr_scheduler_power", lr_scheduler_power, at_least(0), "Exponent of the polynomial schedule.");
    field("lr_scheduler_end", lr_scheduler_end, between(0, 1),
          "Final rate of the polynomial schedule, relative to learning_rate.");
    field("lr_scheduler_cycles", lr_scheduler_cycles, at_least(0), "Number of cosine cycles; 0.5 decays to 0 once.");
  }
};

// Learning rate of step 0, 1, ..., steps - 1, relative to the peak. During W steps of warm-up (the ratio is rounded up)
// it is step / W, then with p = min(1, (step - W) / (steps - W)):
//
//   linear        1 - p
//   cosine        (1 + cos(2 pi cycles p)) / 2
//   constant      1
//   polynomial    (1 - end) (1 - p)^power + end
//   inverse_sqrt  sqrt(T / (step - W + T)), T = W or, without warm-up, 10,000
double rate_at(const ScheduleConfig& schedule, int64_t step, int64_t steps);

}  // namespace sartor
