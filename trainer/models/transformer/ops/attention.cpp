#include "models/transformer/ops/attention.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>

#include "base/require.h"
#include "core/parallel_for.h"
#include "core/profiler_range.h"
#include "models/transformer/ops/cpu_kernels.h"
#include "models/transformer/ops/varlen_attention.h"
#include "transformer/attention_kernels.h"

namespace sartor::transformer {
namespace {

using cuda::AttentionHeads;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// ---- CPU kernels ----

struct AlignedDelete {
  void operator()(float* p) const { ::operator delete[](p, std::align_val_t(64)); }
};
std::unique_ptr<float[], AlignedDelete> scratch(int64_t floats) {
  return std::unique_ptr<float[], AlignedDelete>(new (std::align_val_t(64)) float[floats]);
}

// Properties shared by all heads.
struct Shape {
  AttentionRows rows;
  int64_t d, heads, key_heads;
  float scale;
  bool causal;
};

int64_t bytes_to(const at::Tensor& all, int64_t row, int64_t column) {
  return (row * all.stride(0) + column) * all.element_size();
}
const void* read(const at::Tensor& all, int64_t row, int64_t column) {
  return static_cast<const char*>(all.const_data_ptr()) + bytes_to(all, row, column);
}
void* write(const at::Tensor& all, int64_t row, int64_t column) {
  return static_cast<char*>(all.data_ptr()) + bytes_to(all, row, column);
}

// Key head `key_head` of sequence b with the query heads that share it.
struct Part {
  int64_t q_row, k_row;        // first row of the sequence
  int64_t q_column, k_column;  // first column of the heads
  uint64_t first_head;         // index of the first query head in the batch

  Part(const Shape& shape, int64_t b, int64_t key_head) {
    const int64_t group = shape.heads / shape.key_heads, head = key_head * group;
    q_row = shape.rows.q_offsets[b];
    k_row = shape.rows.k_offsets[b];
    q_column = head * shape.d;
    k_column = key_head * shape.d;
    first_head = static_cast<uint64_t>(b * shape.heads + head);
  }
};

// Calls use(heads, part) for every key head of every sequence, in parallel.
template <class Use> void each_key_head(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                        const Shape& shape, const cuda::Dropout& dropout, bool gradient,
                                        const Use& use) {
  const auto& k_offsets = shape.rows.k_offsets;
  const int64_t batch = std::ssize(k_offsets) - 1;
  const int threads = at::get_num_threads();
  int64_t longest = 0;
  for (int64_t b = 0; b < batch; b++) longest = std::max(longest, k_offsets[b + 1] - k_offsets[b]);
  const int64_t room = cuda::attention_kernels().attention_scratch(longest, shape.d, gradient);
  const auto buffer = scratch(room * threads);
  cuda::parallel_for(threads, batch * shape.key_heads, 4, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t b = i / shape.key_heads;
      const Part part(shape, b, i % shape.key_heads);
      use(AttentionHeads{.q = read(q, part.q_row, part.q_column),
                         .k = read(k, part.k_row, part.k_column),
                         .v = read(v, part.k_row, part.k_column),
                         .heads = shape.heads / shape.key_heads,
                         .q_stride = q.stride(0),
                         .kv_stride = k.stride(0),
                         .q_rows = shape.rows.q_offsets[b + 1] - part.q_row,
                         .k_rows = shape.rows.k_offsets[b + 1] - part.k_row,
                         .d = shape.d,
                         .scale = shape.scale,
                         .causal = shape.causal,
                         .dropout = {dropout.keep, dropout.seed + part.first_head * cuda::head_seed_step},
                         .store = store_of(q),
                         .out = nullptr,
                         .out_stride = q.size(1),
                         .scratch = buffer.get() + thread * room},
          part);
    }
  });
}

void save_shape(AutogradContext* ctx, const Shape& shape) {
  ctx->saved_data["q_offsets"] = shape.rows.q_offsets;
  ctx->saved_data["k_offsets"] = shape.rows.k_offsets;
  ctx->saved_data["d"] = shape.d;
  ctx->saved_data["scale"] = static_cast<double>(shape.scale);
  ctx->saved_data["causal"] = shape.causal;
}
Shape saved_shape(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k) {
  const int64_t d = ctx->saved_data["d"].toInt();
  return {{.q_offsets = ctx->saved_data["q_offsets"].toIntVector(),
           .k_offsets = ctx->saved_data["k_offsets"].toIntVector()},
          d,
          q.size(1) / d,
          k.size(1) / d,
          static_cast<float>(ctx->saved_data["scale"].toDouble()),
          ctx->saved_data["causal"].toBool()};
}

struct PackedAttention : torch::autograd::Function<PackedAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q_in, const at::Tensor& k_in,
                            const at::Tensor& v_in, const Shape& shape, double probability) {
    const bool as_they_lie = k_in.stride(1) == 1 && v_in.stride(1) == 1 && k_in.stride(0) == v_in.stride(0);
    const auto q = q_in.stride(1) == 1 ? q_in : q_in.contiguous();
    const auto k = as_they_lie ? k_in : k_in.contiguous(), v = as_they_lie ? v_in : v_in.contiguous();
    const cuda::Dropout dropout = draw_dropout(probability);
    auto out = at::empty(q.sizes(), q.options());
    const auto& kernels = cuda::attention_kernels();
    each_key_head(q, k, v, shape, dropout, false, [&](AttentionHeads heads, const Part& part) {
      heads.out = write(out, part.q_row, part.q_column);
      kernels.attention(heads);
    });
    ctx->save_for_backward({q, k, v});
    save_shape(ctx, shape);
    save_dropout(ctx, dropout);
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2];
    const auto dout = grads[0].contiguous();
    auto dq = at::empty(q.sizes(), q.options()), dk = at::empty(k.sizes(), k.options()),
         dv = at::empty(v.sizes(), v.options());
    const auto& kernels = cuda::attention_kernels();
    each_key_head(q, k, v, saved_shape(ctx, q, k), saved_dropout(ctx), true,
                  [&](const AttentionHeads& heads, const Part& part) {
                    kernels.attention_backward(heads, {.out = read(dout, part.q_row, part.q_column),
                                                       .out_stride = dout.size(1),
                                                       .q = write(dq, part.q_row, part.q_column),
                                                       .k = write(dk, part.k_row, part.k_column),
                                                       .v = write(dv, part.k_row, part.k_column),
                                                       .q_stride = dq.size(1),
                                                       .kv_stride = dk.size(1)});
                  });
    return {dq, dk, dv, {}, {}};
  }
};

// ---- padded batch ----

// Index of each token in the flattened padded batch (batch, longest).
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

// Converts (T, heads d) to (B, heads, L, d), repeating each head `copies` times.
at::Tensor pad_heads(const at::Tensor& x, const Padding& padding, int64_t d, int64_t copies = 1) {
  const auto heads = at::zeros({padding.batch * padding.longest, x.size(1)}, x.options())
                         .index_copy(0, padding.places_T, x)
                         .view({padding.batch, padding.longest, x.size(1) / d, d})
                         .transpose(1, 2);
  return copies == 1 ? heads : heads.repeat_interleave(copies, 1);
}

// Mask (B, L) of tokens that are not padding.
at::Tensor tokens_of(const Padding& padding) {
  auto tokens = at::zeros({padding.batch * padding.longest}, padding.places_T.options().dtype(at::kBool));
  tokens.index_fill_(0, padding.places_T, true);
  return tokens.view({padding.batch, padding.longest});
}

// Mask of visible keys: (B, 1, 1, Lk), or (B, 1, Lq, Lk) for causal attention.
at::Tensor seen_keys(const AttentionRows& rows, const Padding& q_padding, const Padding& k_padding, bool causal) {
  const auto keys = tokens_of(k_padding).view({k_padding.batch, 1, 1, k_padding.longest});
  if (!causal) return keys;
  std::vector<int64_t> before(q_padding.batch);  // number of keys before the first query
  for (size_t b = 0; b < before.size(); b++) {
    before[b] = (rows.k_offsets[b + 1] - rows.k_offsets[b]) - (rows.q_offsets[b + 1] - rows.q_offsets[b]);
  }
  const auto index = k_padding.places_T.options();
  const auto first = at::from_blob(before.data(), {q_padding.batch}, at::kLong).clone().to(index.device());
  const auto last = first.view({-1, 1, 1, 1}) + at::arange(q_padding.longest, index).view({1, 1, -1, 1});
  return keys.logical_and(at::arange(k_padding.longest, index) <= last);
}

Attended attend_padded(const AttentionRequest& request) {
  const auto& [q, k, v, rows, d, scale, causal, probability, kind] = request;
  const auto q_padding = padding_of(rows.q_offsets, q.device()), k_padding = padding_of(rows.k_offsets, k.device());
  const int64_t copies = q.size(1) / k.size(1);
  const auto padded_q = pad_heads(q, q_padding, d), padded_k = pad_heads(k, k_padding, d, copies),
             padded_v = pad_heads(v, k_padding, d, copies);
  const auto mask = seen_keys(rows, q_padding, k_padding, causal);
  at::Tensor out, weights;
  if (kind == AttentionKind::eager) {
    const double factor = scale.value_or(1 / std::sqrt(static_cast<double>(d)));
    const auto scores =
        (at::matmul(padded_q, padded_k.transpose(2, 3)) * factor).masked_fill(mask.logical_not(), -INFINITY);
    weights = at::softmax(scores, -1, at::kFloat);
    out = at::matmul(at::dropout(weights, probability, probability > 0).to(q.scalar_type()), padded_v);
    weights = weights * tokens_of(q_padding).view({q_padding.batch, 1, q_padding.longest, 1});
  } else {
    out = at::scaled_dot_product_attention(padded_q, padded_k, padded_v, mask, probability, false, scale);
  }
  out = out.transpose(1, 2).reshape({q_padding.batch * q_padding.longest, q.size(1)});
  return {out.index_select(0, q_padding.places_T), weights};
}

void check(const AttentionRequest& request) {
  const int64_t d = request.head_size, q = request.q.size(1), k = request.k.size(1), v = request.v.size(1);
  require(d > 0 && q % d == 0 && k % d == 0 && k == v && k > 0 && q % k == 0,
          "attention: q, k and v have {}, {} and {} columns, expected multiples of {} with v equal to k and q a "
          "multiple of k",
          q, k, v, d);
  require(!request.scale || *request.scale > 0, "attention: the scale is {}, expected above 0",
          request.scale.value_or(0));
  if (!request.causal) return;
  const auto &q_offsets = request.rows.q_offsets, &k_offsets = request.rows.k_offsets;
  for (size_t b = 0; b + 1 < q_offsets.size(); b++) {
    const int64_t queries = q_offsets[b + 1] - q_offsets[b], keys = k_offsets[b + 1] - k_offsets[b];
    require(queries <= keys,
            "attention: sequence {} has {} queries and {} keys, causal attention requires at least as many keys", b,
            queries, keys);
  }
}

}  // namespace

Attended attend(const AttentionRequest& request) {
  check(request);
  const cuda::ProfilerRange range("attention");
  if (request.kind == AttentionKind::packed && !request.q.is_cpu()) return {varlen_attention(request), {}};
  if (request.kind != AttentionKind::packed || !has_kernels(request.q)) return attend_padded(request);
  const int64_t d = request.head_size;
  const float scale = request.scale ? static_cast<float>(*request.scale) : 1 / std::sqrt(static_cast<float>(d));
  const Shape shape = {request.rows, d, request.q.size(1) / d, request.k.size(1) / d, scale, request.causal};
  return {PackedAttention::apply(request.q, request.k, request.v, shape, request.dropout), {}};
}

}  // namespace sartor::transformer
