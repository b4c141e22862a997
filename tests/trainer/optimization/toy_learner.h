// A small network on synthetic rows of different lengths.
#pragma once

#include <ATen/Functions.h>
#include <torch/nn/functional/dropout.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "models/tensors/tensor_file.h"
#include "optimization/learner.h"

namespace sartor::testing {

struct ToyOptions {
  int64_t rows = 70;
  double dropout = 0;
  bool counts_flops = false;
  int64_t dies_in = 0;  // call of loss() in which the process gets `signal`; 0 for none
  int64_t signal = SIGKILL;
  int64_t nan_in = 0;  // step, from 1, whose rows are NaN; 0 for none
};

// A row has `length` vectors, each with a target; the loss is the mean squared error over all vectors.
class ToyLearner : public Learner {
 public:
  static constexpr int64_t features = 6, hidden = 16;

  explicit ToyLearner(ToyOptions options) : options_(options) {
    for (int64_t row = 0; row < options_.rows; row++) lengths_.push_back(static_cast<int32_t>(1 + row * 7 % 9));
    parameters_ = {{"in.weight", made(1, {hidden, features})},
                   {.name = "in.bias", .tensor = at::zeros({hidden}), .decays = false},
                   {.name = "LayerNorm.weight", .tensor = at::ones({hidden}), .decays = false},
                   {"out.weight", made(2, {1, hidden}) / 4}};
    for (auto& each : parameters_) each.tensor.set_requires_grad(true);
  }

  std::vector<TrainedParameter> parameters() override { return parameters_; }
  const std::vector<int32_t>& lengths() const override { return lengths_; }
  std::unique_ptr<Batch> prepare(int64_t step, std::span<const int64_t> rows) const override {
    auto batch = std::make_unique<Vectors>();
    std::vector<at::Tensor> inputs;
    for (const auto row : rows) inputs.push_back(made(100 + row, {lengths_[row], features}));
    batch->inputs = at::cat(inputs);
    if (step + 1 == options_.nan_in) batch->inputs.fill_(std::numeric_limits<float>::quiet_NaN());
    batch->labels = labels(rows);
    return batch;
  }
  at::Tensor loss(const Batch& batch) override {
    if (++losses_ == options_.dies_in) kill(getpid(), static_cast<int>(options_.signal));
    return error(static_cast<const Vectors&>(batch).inputs, options_.dropout).sum();
  }
  double flops(std::span<const int64_t> rows) const override {
    return options_.counts_flops ? 6 * labels(rows) * hidden * (features + 1) : 0;
  }
  std::vector<Metric> evaluate() override {
    const at::NoGradGuard no_grad;
    return {{"loss", error(made(7, {64, features}), 0).mean().item<double>()}};
  }
  void save(const std::filesystem::path& folder) const override {
    NamedTensors tensors;
    for (const auto& [name, tensor, scale, decays] : parameters_) tensors.push_back({name, tensor});
    write_tensors(folder / "toy.safetensors", tensors);
  }
  void load(const std::filesystem::path& folder) override {
    for (const auto& [name, tensor] : read_tensors(folder / "toy.safetensors")) {
      for (auto& mine : parameters_) {
        if (mine.name == name) mine.tensor.detach().copy_(tensor);
      }
    }
  }

 private:
  struct Vectors : Batch {
    at::Tensor inputs;
  };

  static at::Tensor made(uint64_t seed, at::IntArrayRef shape) {
    auto tensor = at::empty(shape, at::kFloat);
    auto* values = tensor.mutable_data_ptr<float>();
    for (int64_t i = 0; i < tensor.numel(); i++) values[i] = static_cast<float>(random_normal(seed, i));
    return tensor;
  }

  double labels(std::span<const int64_t> rows) const {
    double count = 0;
    for (const auto row : rows) count += lengths_[row];
    return count;
  }

  at::Tensor error(const at::Tensor& inputs, double dropout) const {
    const auto& weights = parameters_;
    auto x = at::tanh(at::linear(inputs, weights[0].tensor, weights[1].tensor)) * weights[2].tensor;
    x = at::linear(at::dropout(x, dropout, /*train=*/dropout > 0), weights[3].tensor);
    return (x - inputs.sin().sum(1, true)).square();
  }

  const ToyOptions options_;
  std::vector<int32_t> lengths_;
  std::vector<TrainedParameter> parameters_;
  int64_t losses_ = 0;
};

}  // namespace sartor::testing
