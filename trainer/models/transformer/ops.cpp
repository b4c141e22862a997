#include "models/transformer/ops.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

#include "core/isa.h"
#include "core/parallel_for.h"
#include "models/tensors/onednn.h"
#include "transformer/kernels.h"

namespace sartor::transformer {
namespace {

using namespace cuda;  // the inner loops
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Store store_of(const at::Tensor& x) { return x.scalar_type() == at::kBFloat16 ? Store::bf16 : Store::fp32; }

bool has_kernels(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

// A seed for one use of dropout. The only state is libtorch's generator.
Dropout draw(double probability) {
  if (probability == 0) return {};
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard lock(generator.mutex());
  return {static_cast<float>(1 - probability), at::check_generator<at::CPUGeneratorImpl>(generator)->random64()};
}

// ---- linear ----

bool faster_by_onednn() {
  static const bool faster = [] {
    __builtin_cpu_init();
    return cuda::best_isa() == cuda::Isa::v4 && !__builtin_cpu_is("intel");
  }();
  return faster;
}

struct OneDnnLinear : torch::autograd::Function<OneDnnLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias) {
    ctx->save_for_backward({x, weight});
    return onednn_linear(x, weight, bias);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const auto dy = grads[0].contiguous();
    at::Tensor dx, dweight, dbias;
    if (ctx->needs_input_grad(0)) dx = onednn_linear(dy, weight.t().contiguous(), {});
    if (ctx->needs_input_grad(1)) dweight = onednn_linear(dy.t().contiguous(), x.t().contiguous(), {});
    if (ctx->needs_input_grad(2)) dbias = dy.sum(0);
    return {dx, dweight, dbias};
  }
};

// ---- layer normalisation ----

constexpr int64_t norm_grain = 16;  // rows: 50 kB of work at H = 768

struct AddNorm : torch::autograd::Function<AddNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x_in, const std::optional<at::Tensor>& residual_in,
                            const at::Tensor& weight, const at::Tensor& bias, double eps, double probability,
                            bool trains) {
    const auto x = x_in.contiguous(), residual = residual_in ? residual_in->contiguous() : at::Tensor();
    const int64_t rows = x.size(0), columns = x.size(1), bytes = x.element_size();
    auto normalised = at::empty_like(x);
    at::Tensor sum, mean, rstd;
    if (trains) {
      sum = at::empty_like(x);
      mean = at::empty({rows}, x.options().dtype(at::kFloat));
      rstd = at::empty_like(mean);
    }
    const Dropout dropout = draw(probability);
    const auto& kernels = transformer_kernels();
    cuda::parallel_for(at::get_num_threads(), rows, norm_grain, [&](int64_t begin, int64_t end, int) {
      const auto part = [&](const at::Tensor& all) {
        return all.defined() ? static_cast<char*>(all.data_ptr()) + begin * columns * bytes : nullptr;
      };
      kernels.normalise({.rows = end - begin,
                         .columns = columns,
                         .x = part(x),
                         .residual = part(residual),
                         .weight = weight.const_data_ptr<float>(),
                         .bias = bias.const_data_ptr<float>(),
                         .eps = static_cast<float>(eps),
                         .dropout = dropout,
                         .store = store_of(x),
                         .sum = part(sum),
                         .mean = trains ? mean.data_ptr<float>() + begin : nullptr,
                         .rstd = trains ? rstd.data_ptr<float>() + begin : nullptr,
                         .normalised = part(normalised),
                         .first_row = begin});
    });
    ctx->save_for_backward({sum, weight, mean, rstd});
    ctx->saved_data["keep"] = static_cast<double>(dropout.keep);
    ctx->saved_data["seed"] = static_cast<int64_t>(dropout.seed);
    ctx->saved_data["residual"] = residual.defined();
    return normalised;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &sum = saved[0], &weight = saved[1], &mean = saved[2], &rstd = saved[3];
    const auto dy = grads[0].contiguous();
    const Dropout dropout = {static_cast<float>(ctx->saved_data["keep"].toDouble()),
                             static_cast<uint64_t>(ctx->saved_data["seed"].toInt())};
    const int64_t rows = sum.size(0), columns = sum.size(1), bytes = sum.element_size();
    auto by_sum = at::empty_like(sum);
    const auto by_x = dropout.keep < 1 ? at::empty_like(sum) : at::Tensor();
    // Partial sums by ranges, not by threads: the same bits whichever thread takes a range.
    const int64_t range = std::max<int64_t>(norm_grain, (rows + 31) / 32), ranges = (rows + range - 1) / range;
    auto partial = at::zeros({ranges, 2, columns}, weight.options());
    const auto& kernels = transformer_kernels();
    cuda::parallel_for(at::get_num_threads(), rows, range, [&](int64_t begin, int64_t end, int) {
      const auto part = [&](const at::Tensor& all) {
        return all.defined() ? static_cast<char*>(all.data_ptr()) + begin * columns * bytes : nullptr;
      };
      float* sums = partial.data_ptr<float>() + begin / range * 2 * columns;
      kernels.normalise_backward({.rows = end - begin,
                                  .columns = columns,
                                  .weight = weight.const_data_ptr<float>(),
                                  .dropout = dropout,
                                  .store = store_of(sum),
                                  .first_row = begin},
                                 {.normalised = part(dy),
                                  .sum = part(sum),
                                  .mean = mean.const_data_ptr<float>() + begin,
                                  .rstd = rstd.const_data_ptr<float>() + begin,
                                  .by_sum = part(by_sum),
                                  .by_x = part(by_x),
                                  .by_weight = sums,
                                  .by_bias = sums + columns});
    });
    const auto by_parameters = partial.sum(0);
    return {by_x.defined() ? by_x : by_sum,
            ctx->saved_data["residual"].toBool() ? by_sum : at::Tensor(),
            by_parameters[0],
            by_parameters[1],
            {},
            {},
            {}};
  }
};

// ---- attention ----

struct AlignedDelete {
  void operator()(float* p) const { ::operator delete[](p, std::align_val_t(64)); }
};
std::unique_ptr<float[], AlignedDelete> scratch(int64_t floats) {
  return std::unique_ptr<float[], AlignedDelete>(new (std::align_val_t(64)) float[floats]);
}

struct PackedAttention : torch::autograd::Function<PackedAttention> {
  // Calls use(head, sequence's first q row, first k row, column) for every head of every sequence, threads apart.
  template <class Use> static void each_head(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                             const AttentionRows& rows, int64_t heads, const Dropout& dropout,
                                             bool gradient, const Use& use) {
    const auto& kernels = transformer_kernels();
    const int64_t hidden = q.size(1), d = hidden / heads, batch = std::ssize(rows.q_offsets) - 1;
    const int threads = at::get_num_threads();
    int64_t longest = 0;
    for (int64_t b = 0; b < batch; b++) longest = std::max(longest, rows.k_offsets[b + 1] - rows.k_offsets[b]);
    const int64_t room = kernels.attention_scratch(longest, d, gradient);
    const auto buffer = scratch(room * threads);
    cuda::parallel_for(threads, batch * heads, 4, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t b = i / heads, column = i % heads * d;
        const int64_t first_q = rows.q_offsets[b], first_k = rows.k_offsets[b];
        const auto at = [&](const at::Tensor& all, int64_t row) {
          return static_cast<const char*>(all.const_data_ptr()) + (row * all.stride(0) + column) * all.element_size();
        };
        use(AttentionHead{.q = at(q, first_q),
                          .k = at(k, first_k),
                          .v = at(v, first_k),
                          .q_stride = q.stride(0),
                          .kv_stride = k.stride(0),
                          .q_rows = rows.q_offsets[b + 1] - first_q,
                          .k_rows = rows.k_offsets[b + 1] - first_k,
                          .d = d,
                          .scale = 1 / std::sqrt(static_cast<float>(d)),
                          .dropout = {dropout.keep, dropout.seed + static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15},
                          .store = store_of(q),
                          .out = nullptr,
                          .out_stride = hidden,
                          .scratch = buffer.get() + thread * room},
            first_q, first_k, column);
      }
    });
  }
  static void* place(const at::Tensor& all, int64_t row, int64_t column) {
    return static_cast<char*>(all.data_ptr()) + (row * all.size(1) + column) * all.element_size();
  }

  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q_in, const at::Tensor& k_in,
                            const at::Tensor& v_in, const AttentionRows& rows, int64_t heads, double probability) {
    const bool as_they_lie = k_in.stride(1) == 1 && v_in.stride(1) == 1 && k_in.stride(0) == v_in.stride(0);
    const auto q = q_in.stride(1) == 1 ? q_in : q_in.contiguous();
    const auto k = as_they_lie ? k_in : k_in.contiguous(), v = as_they_lie ? v_in : v_in.contiguous();
    const Dropout dropout = draw(probability);
    auto out = at::empty(q.sizes(), q.options());
    const auto& kernels = transformer_kernels();
    each_head(q, k, v, rows, heads, dropout, false, [&](AttentionHead head, int64_t row, int64_t, int64_t column) {
      head.out = place(out, row, column);
      kernels.attention(head);
    });
    ctx->save_for_backward({q, k, v});
    ctx->saved_data["q_offsets"] = rows.q_offsets;
    ctx->saved_data["k_offsets"] = rows.k_offsets;
    ctx->saved_data["heads"] = heads;
    ctx->saved_data["keep"] = static_cast<double>(dropout.keep);
    ctx->saved_data["seed"] = static_cast<int64_t>(dropout.seed);
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2];
    const AttentionRows rows = {ctx->saved_data["q_offsets"].toIntVector(), ctx->saved_data["k_offsets"].toIntVector()};
    const Dropout dropout = {static_cast<float>(ctx->saved_data["keep"].toDouble()),
                             static_cast<uint64_t>(ctx->saved_data["seed"].toInt())};
    const auto dout = grads[0].contiguous();
    auto dq = at::empty(q.sizes(), q.options()), dk = at::empty(k.sizes(), k.options()),
         dv = at::empty(v.sizes(), v.options());
    const auto& kernels = transformer_kernels();
    const int64_t hidden = q.size(1);
    each_head(q, k, v, rows, ctx->saved_data["heads"].toInt(), dropout, true,
              [&](const AttentionHead& head, int64_t q_row, int64_t k_row, int64_t column) {
                kernels.attention_backward(head, {.out = place(dout, q_row, column),
                                                  .out_stride = hidden,
                                                  .q = place(dq, q_row, column),
                                                  .k = place(dk, k_row, column),
                                                  .v = place(dv, k_row, column),
                                                  .q_stride = hidden,
                                                  .kv_stride = hidden});
              });
    return {dq, dk, dv, {}, {}, {}};
  }
};

// Rows of all sequences in a padded batch of `longest`, as an index.
struct Padding {
  at::Tensor places_T;
  int64_t batch, longest;
};
Padding padding_of(const std::vector<int64_t>& offsets, at::Device device) {
  const int64_t batch = std::ssize(offsets) - 1;
  int64_t longest = 0;
  for (int64_t b = 0; b < batch; b++) longest = std::max(longest, offsets[b + 1] - offsets[b]);
  std::vector<int64_t> places;
  places.reserve(offsets.back());
  for (int64_t b = 0; b < batch; b++) {
    for (int64_t i = 0; i < offsets[b + 1] - offsets[b]; i++) places.push_back(b * longest + i);
  }
  return {at::from_blob(places.data(), {std::ssize(places)}, at::kLong).clone().to(device), batch, longest};
}

// (T, H) to (B, heads, L, d).
at::Tensor pad_heads(const at::Tensor& x, const Padding& padding, int64_t heads) {
  return at::zeros({padding.batch * padding.longest, x.size(1)}, x.options())
      .index_copy(0, padding.places_T, x)
      .view({padding.batch, padding.longest, heads, x.size(1) / heads})
      .transpose(1, 2);
}

Attended attend_padded(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionRows& rows,
                       int64_t heads, double probability, bool eager) {
  const auto q_padding = padding_of(rows.q_offsets, q.device()), k_padding = padding_of(rows.k_offsets, k.device());
  const auto padded_q = pad_heads(q, q_padding, heads), padded_k = pad_heads(k, k_padding, heads),
             padded_v = pad_heads(v, k_padding, heads);
  auto keys = at::zeros({k_padding.batch * k_padding.longest}, k.options().dtype(at::kBool));
  keys.index_fill_(0, k_padding.places_T, true);
  const auto mask = keys.view({k_padding.batch, 1, 1, k_padding.longest});
  at::Tensor out, weights;
  if (eager) {
    const double scale = 1 / std::sqrt(static_cast<double>(q.size(1) / heads));
    const auto scores =
        (at::matmul(padded_q, padded_k.transpose(2, 3)) * scale).masked_fill(mask.logical_not(), -INFINITY);
    weights = at::softmax(scores, -1, at::kFloat);
    out = at::matmul(at::dropout(weights, probability, probability > 0).to(q.scalar_type()), padded_v);
    auto queries = at::zeros({q_padding.batch * q_padding.longest}, keys.options());
    queries.index_fill_(0, q_padding.places_T, true);
    weights = weights * queries.view({q_padding.batch, 1, q_padding.longest, 1});
  } else {
    out = at::scaled_dot_product_attention(padded_q, padded_k, padded_v, mask, probability);
  }
  out = out.transpose(1, 2).reshape({q_padding.batch * q_padding.longest, q.size(1)});
  return {out.index_select(0, q_padding.places_T), weights};
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType compute) {
  if (compute == at::kFloat && x.is_cpu() && x.size(0) > 0 && faster_by_onednn())
    return OneDnnLinear::apply(x, weight, bias);
  return at::linear(x.to(compute), weight.to(compute), bias.to(compute));
}

at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& weight, const at::Tensor& bias,
                    double eps, double probability) {
  if (has_kernels(x)) {
    const bool trains =
        c10::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad() || bias.requires_grad());
    const auto some = residual.defined() ? std::optional(residual) : std::nullopt;
    return AddNorm::apply(x, some, weight, bias, eps, probability, trains);
  }
  auto sum = at::dropout(x, probability, probability > 0);
  if (residual.defined()) sum = sum + residual;
  return at::layer_norm(sum.to(at::kFloat), {x.size(1)}, weight, bias, eps).to(x.scalar_type());
}

at::Tensor dropout(const at::Tensor& x, double probability) {
  return probability > 0 ? at::dropout(x, probability, true) : x;
}

at::Tensor activation(const at::Tensor& x, Activation kind) {
  switch (kind) {
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::relu:
      return at::relu(x);
    case Activation::silu:
      return at::silu(x);
    case Activation::tanh:
      return at::tanh(x);
  }
  return x;
}

Attended attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionRows& rows, int64_t heads,
                double probability, AttentionKind kind) {
  if (kind == AttentionKind::packed && has_kernels(q)) {
    return {PackedAttention::apply(q, k, v, rows, heads, probability), {}};
  }
  return attend_padded(q, k, v, rows, heads, probability, kind == AttentionKind::eager);
}

}  // namespace sartor::transformer
