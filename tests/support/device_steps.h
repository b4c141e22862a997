// Trains a learner for a few steps on the meta device, where reading a tensor back throws, and counts what they do.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "optimization/training.h"
#include "support/meta_operators.h"
#include "support/plain_copies.h"
#include "support/step_observer.h"

namespace sartor::testing {

// Ends the training at the first loss after `steps` steps, because a model without values cannot be saved.
template <class Trained> class SomeSteps : public Trained {
 public:
  struct Ended {};

  template <class... Arguments> explicit SomeSteps(int64_t losses, Arguments&&... arguments)
      : Trained(std::forward<Arguments>(arguments)...), losses_(losses) {}

  std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> rows) const override {
    prepared++;
    return Trained::prepare(step, rows);
  }
  at::Tensor loss(const Batch& batch) override {
    if (losses_-- == 0) throw Ended();
    return Trained::loss(batch);
  }
  double flops(std::span<const int64_t>) const override { return 0; }  // so that the device's peak is not measured

  mutable std::atomic<int64_t> prepared = 0;

 private:
  int64_t losses_;
};

// Trains the learner that make(losses, transfer) returns for three steps of so many micro-batches, and expects that a
// micro-batch reaches the device by one copy and that a step returns its figures by one.
template <class Trained, class Make>
void expect_no_waiting(const std::string& name, TrainingConfig config, const Make& make, int64_t micro_batches = 2) {
  constexpr int64_t steps = 3;
  const MetaOperators operators;
  config.per_device_batch_size = 2;
  config.gradient_accumulation_steps = micro_batches;
  config.max_steps = 1000;
  config.logging_steps = 1000;
  config.eval_strategy = IntervalStrategy::no;
  const auto copies = std::make_shared<PlainCopies>(at::kMeta);
  const std::unique_ptr<SomeSteps<Trained>> learner = make(micro_batches * steps, Transfer(at::kMeta, copies));
  const auto sent_before = copies->sent.load(), fetched_before = copies->fetched.load();
  ProcessGroup alone({}, /*gpu=*/false, std::chrono::seconds(1));
  Run run({.folder = "meta-run",
           .checkpoint = {.every = 1000},
           .unit = "step",
           .ranks = &alone,
           .start = {.overwrite = true}});
  StepObserver observer;
  EXPECT_THROW(train(config, *learner, alone, run), typename SomeSteps<Trained>::Ended);
  const auto counts = observer.take();
  const int64_t sent = copies->sent - sent_before;
  EXPECT_EQ(sent, learner->prepared);
  EXPECT_EQ(counts.copies_in, sent) << counts.text();
  EXPECT_EQ(copies->fetched - fetched_before, steps);
  EXPECT_EQ(counts.of("aten::_foreach_add_"), steps) << counts.text();
  for (const char* reading : {"aten::item", "aten::_local_scalar_dense", "aten::masked_select", "aten::nonzero"}) {
    EXPECT_EQ(counts.of(reading), 0) << reading;
  }
  std::printf("%s: %ld micro-batches sent by %ld copies, %ld steps, %ld fetches\n", name.c_str(),
              learner->prepared.load(), counts.copies_in, steps, copies->fetched - fetched_before);
}

}  // namespace sartor::testing
