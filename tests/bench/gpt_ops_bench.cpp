// gpt_ops_bench attention THREADS SEQUENCE STEPS: CPU milliseconds of the forward and the backward pass of causal
// attention in one layer of the model below, by our kernels and by libtorch. gpt_ops_bench fp32|bf16 THREADS SEQUENCE
// STEPS [gpt2|llama]: forward and backward passes of a model with 6 layers of 384 (6 heads), a vocabulary of 50,257 and
// tied embeddings on 2,048 tokens in sequences of SEQUENCE, made directly of the operations. Prints the best step as
// one line of JSON: tokens per second and the share of the measured product peak.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "models/transformer/ops.h"
#include "optimization/utilisation.h"
#include "runtime/memory.h"

namespace {

using namespace sartor;
using namespace sartor::transformer;

constexpr int64_t layers = 6, width = 384, heads = 6, vocabulary = 50257, tokens = 2048;

struct Layer {
  at::Tensor norm_weight, norm_bias, qkv, qkv_bias, out, out_bias, next_weight, next_bias, up, up_bias, gate, down,
      down_bias;
};

at::Tensor parameter(at::IntArrayRef shape) { return at::randn(shape).mul_(0.02).requires_grad_(); }

class Model {
 public:
  Model(bool llama, at::ScalarType compute, int64_t sequence)
      : llama_(llama), compute_(compute), embeddings_(parameter({vocabulary, width})), norm_(parameter({width})) {
    for (int64_t i = 0; i < layers; i++) {
      layers_.push_back({.norm_weight = parameter({width}),
                         .norm_bias = parameter({width}),
                         .qkv = parameter({3 * width, width}),
                         .qkv_bias = parameter({3 * width}),
                         .out = parameter({width, width}),
                         .out_bias = parameter({width}),
                         .next_weight = parameter({width}),
                         .next_bias = parameter({width}),
                         .up = parameter({(llama ? 1024 : 1536), width}),
                         .up_bias = parameter({1536}),
                         .gate = parameter({1024, width}),
                         .down = parameter({width, (llama ? 1024 : 1536)}),
                         .down_bias = parameter({width})});
    }
    const auto angles = at::rand({sequence, width / heads / 2});
    cos_ = angles.cos();
    sin_ = angles.sin();
    positions_ = at::arange(tokens).remainder(sequence);
    rows_.q_offsets = {0};
    while (rows_.q_offsets.back() < tokens) {
      rows_.q_offsets.push_back(std::min(tokens, rows_.q_offsets.back() + sequence));
    }
    rows_.k_offsets = rows_.q_offsets;
  }

  void step(const at::Tensor& ids, const at::Tensor& targets) const {
    const double dropout = llama_ ? 0 : 0.1;
    at::Tensor sum, x = at::embedding(embeddings_, ids).to(compute_);
    for (const auto& layer : layers_) {
      auto first = norm(x, sum, layer.norm_weight, layer.norm_bias, dropout);
      const auto attended = attention(first.normalised, layer, dropout);
      auto second = norm(attended, first.sum, layer.next_weight, layer.next_bias, dropout);
      sum = second.sum;
      x = feed_forward(second.normalised, layer);
    }
    const auto last = norm(x, sum, norm_, norm_, dropout).normalised;
    token_loss(last, embeddings_, targets, at::full({tokens}, 1.0 / tokens), compute_).backward();
  }

 private:
  SumAndNorm norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, const at::Tensor& bias,
                  double dropout) const {
    return llama_ ? add_and_rms_norm(x, residual, weight, 1e-5, dropout)
                  : add_and_norm(x, residual, weight, bias, 1e-5, dropout);
  }
  at::Tensor attention(const at::Tensor& x, const Layer& layer, double dropout) const {
    const auto qkv = linear(x, layer.qkv, llama_ ? at::Tensor() : layer.qkv_bias, compute_).chunk(3, 1);
    const auto turned = [&](const at::Tensor& part) {
      return llama_ ? rotate(part, cos_, sin_, positions_, width / heads) : part;
    };
    const auto out = attend({.q = turned(qkv[0]),
                             .k = turned(qkv[1]),
                             .v = qkv[2],
                             .rows = rows_,
                             .head_size = width / heads,
                             .causal = true,
                             .dropout = dropout})
                         .out;
    return linear(out, layer.out, llama_ ? at::Tensor() : layer.out_bias, compute_);
  }
  at::Tensor feed_forward(const at::Tensor& x, const Layer& layer) const {
    if (llama_) {
      const auto gate = linear(x, layer.gate, {}, compute_), up = linear(x, layer.up, {}, compute_);
      return linear(gated(gate, up, Activation::silu), layer.down, {}, compute_);
    }
    const auto up = activation(linear(x, layer.up, layer.up_bias, compute_), Activation::gelu_tanh);
    return linear(up, layer.down, layer.down_bias, compute_);
  }

  bool llama_;
  at::ScalarType compute_;
  at::Tensor embeddings_, norm_, cos_, sin_, positions_;
  std::vector<Layer> layers_;
  AttentionRows rows_;
};

double cpu_seconds() {  // of all threads; not affected by other programs
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return double(time.tv_sec) + double(time.tv_nsec) / 1e9;
}

void time_attention(AttentionKind kind, const char* name, int64_t sequence, int64_t steps) {
  AttentionRows rows = {{0}, {}};
  while (rows.q_offsets.back() < tokens) rows.q_offsets.push_back(std::min(tokens, rows.q_offsets.back() + sequence));
  rows.k_offsets = rows.q_offsets;
  const auto q = at::randn({tokens, width}).requires_grad_(), k = at::randn({tokens, width}).requires_grad_(),
             v = at::randn({tokens, width}).requires_grad_(), by_out = at::randn({tokens, width});
  double forward = 1e9, backward = 1e9;
  for (int64_t i = 0; i < steps; i++) {
    const double start = cpu_seconds();
    const auto out =
        attend({.q = q, .k = k, .v = v, .rows = rows, .head_size = width / heads, .causal = true, .kind = kind}).out;
    const double middle = cpu_seconds();
    out.backward(by_out);
    forward = std::min(forward, middle - start);
    backward = std::min(backward, cpu_seconds() - middle);
  }
  fmt::print("{{\"attention\": \"{}\", \"sequence\": {}, \"forward_ms\": {:.1f}, \"backward_ms\": {:.1f}}}\n", name,
             sequence, forward * 1e3, backward * 1e3);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "usage: {} fp32|bf16|attention THREADS SEQUENCE STEPS [gpt2|llama]\n", argv[0]);
    return 2;
  }
  const auto compute = std::string(argv[1]) == "bf16" ? at::kBFloat16 : at::kFloat;
  const int threads = std::atoi(argv[2]);
  const int64_t sequence = std::atoll(argv[3]), steps = std::atoll(argv[4]);
  const bool llama = argc > 5 && std::string(argv[5]) == "llama";
  at::set_num_threads(threads);
  keep_freed_memory();
  if (std::string(argv[1]) == "attention") {
    time_attention(AttentionKind::packed, "kernels", sequence, steps);
    time_attention(AttentionKind::sdpa, "libtorch", sequence, steps);
    return 0;
  }
  const double peak = product_peak(at::kCPU, compute);
  const Model model(llama, compute, sequence);
  const auto ids = at::randint(vocabulary, {tokens + 1}, at::kLong);
  double best = 1e9, least = 1e9;
  for (int64_t i = 0; i < steps; i++) {
    const auto begin = std::chrono::steady_clock::now();
    const double before = cpu_seconds();
    model.step(ids.narrow(0, 0, tokens), ids.narrow(0, 1, tokens));
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    least = std::min(least, cpu_seconds() - before);
  }
  const double layer = llama ? 4.0 * width * width + 3.0 * 1024 * width : 12.0 * width * width;
  const double per_token = 6 * (layers * layer + vocabulary * width) + 6.0 * layers * width * double(sequence);
  const double rate = tokens / best;
  fmt::print(
      "{{\"compute\": \"{}\", \"threads\": {}, \"sequence\": {}, \"tokens_per_s\": {:.0f}, \"cpu_s\": {:.3f}, "
      "\"gflops\": {:.1f}, "
      "\"peak_gflops\": {:.1f}, \"utilization\": {:.3f}, \"resident_mib\": {:.0f}}}\n",
      argv[1], threads, sequence, rate, least, rate * per_token / 1e9, peak / 1e9, rate * per_token / peak,
      peak_resident_mib());
}
