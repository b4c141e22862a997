// How the learning rate runs over the steps of a training: the schedules of Hugging Face's Trainer, number for number.
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
    field("lr_scheduler_type", lr_scheduler_type, "How the learning rate falls after the warm-up.");
    field("warmup_ratio", warmup_ratio, between(0, 1), "Share of all steps in which the rate rises from 0.");
    field("warmup_steps", warmup_steps, at_least(0), "The same as a number of steps; if not 0 it is what counts.");
    field("lr_scheduler_power", lr_scheduler_power, at_least(0), "polynomial: the exponent.");
    field("lr_scheduler_end", lr_scheduler_end, between(0, 1), "polynomial: the last rate as a share of the greatest.");
    field("lr_scheduler_cycles", lr_scheduler_cycles, at_least(0), "cosine: waves; 0.5 falls once to 0.");
  }
};

// The rate of step 0, 1, ... of `steps` as a share of the greatest. With W steps of warm-up (the ratio rounded up), the
// first W rise by step / W; after it, with p = (step - W) / (steps - W) capped at 1,
//
//   linear        1 - p
//   cosine        (1 + cos(2 pi cycles p)) / 2
//   constant      1
//   polynomial    (1 - end) (1 - p)^power + end
//   inverse_sqrt  sqrt(T / (step - W + T)), T = W or, without warm-up, 10,000
double rate_at(const ScheduleConfig& schedule, int64_t step, int64_t steps);

}  // namespace sartor
