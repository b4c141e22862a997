// The end of an optimizer step: its mean loss over all ranks, gradient clipping and the update of the parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

#include "models/tensors/transfer.h"
#include "optimization/adamw.h"
#include "runtime/process_group.h"

namespace sartor {

// Figures of a step, the same on every rank.
struct StepOutcome {
  double loss = 0;           // mean over all labels
  double gradient_norm = 0;  // before clipping
  // That any rank had received at the end of the step on the host, at its beginning on a device, or 0; empty if
  // unknown.
  std::optional<int> stop_signal;
};

class Update {
 public:
  virtual ~Update() = default;

  // Begins a step with the number of labels of this rank. If no rank has any, the mean loss is 0.
  virtual void begin(double labels) = 0;

  // What to differentiate for the loss of a micro-batch: its part in the mean over all labels, times the number of
  // ranks, because gradients are averaged over the ranks.
  virtual at::Tensor share(const at::Tensor& loss) const = 0;

  // Ends a step whose losses on this rank have the given sum: clips the gradients and updates the parameters. A step
  // with a loss or gradient norm that is not finite changes neither the parameters nor the state of the optimizer.
  // Returns the figures for outcome().
  virtual Transfer::Fetch finish(const at::Tensor& loss_sum, double learning_rate) = 0;

  // Waits until the figures have reached the host.
  virtual StepOutcome outcome(const Transfer::Fetch& figures) const = 0;
};

// Both versions sum two small arrays per step if there are several ranks: the numbers of labels, and the losses. The
// stop signals are summed with one of them. max_grad_norm: 0 disables clipping.

// Waits for the loss and the gradient norm, to decide on the host.
std::unique_ptr<Update> make_host_update(AdamW& optimizer, ProcessGroup& ranks, double max_grad_norm);

// Decides on the device and never waits; `transfer` fetches the figures. All steps after one that is not finite are
// skipped, too, until the host knows.
std::unique_ptr<Update> make_device_update(AdamW& optimizer, ProcessGroup& ranks, double max_grad_norm,
                                           Transfer transfer);

}  // namespace sartor
