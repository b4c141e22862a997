#include "models/transformer/ops/varlen_attention.h"

#include <ATen/ops/_efficient_attention_backward.h>
#include <ATen/ops/_efficient_attention_forward.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace sartor::transformer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t longest_flash_head = 256;
// custom_mask_type of the memory-efficient kernel. Like FlashAttention's causal mask, it is aligned with the last key.
constexpr int64_t no_mask = 0, causal_from_bottom_right = 2;

struct Setting {
  int64_t d;  // head size without padding
  double scale, dropout;
  bool causal;
  int64_t longest_q, longest_k;

  int64_t mask() const { return causal ? causal_from_bottom_right : no_mask; }
};

// (T, heads d) as (T, heads, d), padded with zeros to heads of a multiple of 16 bytes.
at::Tensor heads_of(const at::Tensor& x, int64_t d) {
  const auto heads = (x.stride(1) == 1 ? x : x.contiguous()).view({x.size(0), x.size(1) / d, d});
  const int64_t unit = 16 / x.element_size(), rest = d % unit;
  return rest == 0 ? heads : at::constant_pad_nd(heads, {0, unit - rest});
}
// The inverse.
at::Tensor rows_of(const at::Tensor& heads, int64_t d) {
  return (heads.size(2) == d ? heads : heads.narrow(2, 0, d)).reshape({heads.size(0), heads.size(1) * d});
}

// What the backward pass needs from the forward pass. `random` and `also_random` restore dropout.
struct Result {
  at::Tensor out;  // (Tq, heads, d)
  at::Tensor logsumexp, random, also_random;
};
struct Gradients {
  at::Tensor q, k, v;
};

// ---- FlashAttention ----

bool fits_flash(const at::Tensor& q) { return q.scalar_type() == at::kBFloat16 && q.size(2) <= longest_flash_head; }

Result flash(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& q_offsets,
             const at::Tensor& k_offsets, const Setting& setting) {
  auto [out, logsumexp, random, also_random, mask] =
      at::_flash_attention_forward(q, k, v, q_offsets, k_offsets, setting.longest_q, setting.longest_k, setting.dropout,
                                   setting.causal, /*return_debug_mask=*/false, setting.scale);
  return {std::move(out), std::move(logsumexp), std::move(random), std::move(also_random)};
}

Gradients flash_backward(const at::Tensor& by_out, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const at::Tensor& q_offsets, const at::Tensor& k_offsets, const Result& result,
                         const Setting& setting) {
  auto [by_q, by_k, by_v] = at::_flash_attention_backward(
      by_out, q, k, v, result.out, result.logsumexp, q_offsets, k_offsets, setting.longest_q, setting.longest_k,
      setting.dropout, setting.causal, result.random, result.also_random, setting.scale);
  return {std::move(by_q), std::move(by_k), std::move(by_v)};
}

// ---- memory-efficient attention: (1, T, heads, d), with as many key heads as query heads ----

at::Tensor repeat_heads(const at::Tensor& x, int64_t heads) {
  const int64_t rows = x.size(0), own = x.size(1), d = x.size(2);
  if (own == heads) return x;
  return x.unsqueeze(2).expand({rows, own, heads / own, d}).reshape({rows, heads, d});
}
at::Tensor sum_heads(const at::Tensor& gradient, int64_t heads) {
  const int64_t rows = gradient.size(0), copies = gradient.size(1) / heads;
  return copies == 1 ? gradient : gradient.reshape({rows, heads, copies, gradient.size(2)}).sum(2);
}

Result efficient(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& q_offsets,
                 const at::Tensor& k_offsets, const Setting& setting, bool trains) {
  const auto all = [&](const at::Tensor& x) { return repeat_heads(x, q.size(1)).unsqueeze(0); };
  auto [out, logsumexp, seed, offset, longest_q, longest_k] = at::_efficient_attention_forward(
      q.unsqueeze(0), all(k), all(v), /*bias=*/{}, q_offsets, k_offsets, setting.longest_q, setting.longest_k,
      setting.dropout, setting.mask(), /*compute_log_sumexp=*/trains, setting.scale);
  return {out.squeeze(0), std::move(logsumexp), std::move(seed), std::move(offset)};
}

Gradients efficient_backward(const at::Tensor& by_out, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             const at::Tensor& q_offsets, const at::Tensor& k_offsets, const Result& result,
                             const Setting& setting) {
  const auto all = [&](const at::Tensor& x) { return repeat_heads(x, q.size(1)).unsqueeze(0); };
  const auto [by_q, by_k, by_v, by_bias] = at::_efficient_attention_backward(
      by_out.unsqueeze(0), q.unsqueeze(0), all(k), all(v), /*bias=*/{}, result.out.unsqueeze(0), q_offsets, k_offsets,
      setting.longest_q, setting.longest_k, result.logsumexp, setting.dropout, result.random, result.also_random,
      setting.mask(), /*bias_requires_grad=*/false, setting.scale);
  return {by_q.squeeze(0), sum_heads(by_k.squeeze(0), k.size(1)), sum_heads(by_v.squeeze(0), v.size(1))};
}

// ---- both ----

struct VarlenAttention : torch::autograd::Function<VarlenAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q_rows, const at::Tensor& k_rows,
                            const at::Tensor& v_rows, const at::Tensor& q_offsets, const at::Tensor& k_offsets,
                            const Setting& setting, bool trains) {
    const auto q = heads_of(q_rows, setting.d), k = heads_of(k_rows, setting.d), v = heads_of(v_rows, setting.d);
    const auto result = fits_flash(q) ? flash(q, k, v, q_offsets, k_offsets, setting)
                                      : efficient(q, k, v, q_offsets, k_offsets, setting, trains);
    auto out = rows_of(result.out, setting.d);
    if (trains) {
      ctx->save_for_backward(
          {q, k, v, q_offsets, k_offsets, result.out, result.logsumexp, result.random, result.also_random});
      save(ctx, setting);
    }
    return out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &q = saved[0], &k = saved[1], &v = saved[2], &q_offsets = saved[3], &k_offsets = saved[4];
    const auto setting = saved_setting(ctx);
    const Result result = {saved[5], saved[6], saved[7], saved[8]};
    const auto by_out = heads_of(grads[0], setting.d);
    const auto by =
        (fits_flash(q) ? flash_backward : efficient_backward)(by_out, q, k, v, q_offsets, k_offsets, result, setting);
    return {rows_of(by.q, setting.d), rows_of(by.k, setting.d), rows_of(by.v, setting.d), {}, {}, {}, {}};
  }

 private:
  static void save(AutogradContext* ctx, const Setting& setting) {
    auto& data = ctx->saved_data;
    data["d"] = setting.d;
    data["scale"] = setting.scale;
    data["dropout"] = setting.dropout;
    data["causal"] = setting.causal;
    data["longest_q"] = setting.longest_q;
    data["longest_k"] = setting.longest_k;
  }
  static Setting saved_setting(AutogradContext* ctx) {
    auto& data = ctx->saved_data;
    return {.d = data["d"].toInt(),
            .scale = data["scale"].toDouble(),
            .dropout = data["dropout"].toDouble(),
            .causal = data["causal"].toBool(),
            .longest_q = data["longest_q"].toInt(),
            .longest_k = data["longest_k"].toInt()};
  }
};

// The given offsets, or a copy of the host's on the device.
at::Tensor offsets_on(const at::Tensor& given, const std::vector<int64_t>& host, at::Device device) {
  if (given.defined()) return given;
  return at::from_blob(const_cast<int64_t*>(host.data()), {std::ssize(host)}, at::kLong).to(at::kInt).to(device);
}
int64_t longest_of(int64_t given, const std::vector<int64_t>& offsets) {
  if (given > 0) return given;
  int64_t longest = 0;
  for (size_t b = 0; b + 1 < offsets.size(); b++) longest = std::max(longest, offsets[b + 1] - offsets[b]);
  return longest;
}

}  // namespace

at::Tensor varlen_attention(const AttentionRequest& request) {
  const auto& [q, k, v, rows, d, scale, causal, dropout, kind] = request;
  const auto device = q.device();
  const Setting setting = {.d = d,
                           .scale = scale.value_or(1 / std::sqrt(static_cast<double>(d))),
                           .dropout = dropout,
                           .causal = causal,
                           .longest_q = longest_of(rows.longest_q, rows.q_offsets),
                           .longest_k = longest_of(rows.longest_k, rows.k_offsets)};
  const bool trains = c10::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  return VarlenAttention::apply(q, k, v, offsets_on(rows.q_offsets_B1, rows.q_offsets, device),
                                offsets_on(rows.k_offsets_B1, rows.k_offsets, device), setting, trains);
}

}  // namespace sartor::transformer
