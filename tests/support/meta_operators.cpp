#include "support/meta_operators.h"

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <ATen/OpMathType.h>

#include <array>
#include <optional>
#include <string>
#include <tuple>

namespace sartor::testing {
namespace {

using at::Tensor;
using Optional = std::optional<Tensor>;

void same_device(const Tensor& a, const Tensor& b) {
  TORCH_CHECK(a.device() == b.device(), "tensors on ", a.device(), " and ", b.device());
}
void same_device(const Tensor& a, const Optional& b) {
  if (b && b->defined()) same_device(a, *b);
}
void same_type(const Tensor& a, const Tensor& b) {
  same_device(a, b);
  TORCH_CHECK(a.scalar_type() == b.scalar_type(), "tensors of ", a.scalar_type(), " and ", b.scalar_type());
}
void same_type(const Tensor& a, const Optional& b) {
  if (b && b->defined()) same_type(a, *b);
}

void check_heads(const Tensor& query, const Tensor& key, const Tensor& value) {
  same_type(query, key);
  same_type(query, value);
  TORCH_CHECK(query.stride(-1) == 1 && key.stride(-1) == 1 && value.stride(-1) == 1, "heads are not contiguous");
  TORCH_CHECK(query.size(-1) == key.size(-1) && key.size(-3) == value.size(-3));
}

}  // namespace

void check_lengths(const Tensor& query, const Tensor& lengths) {
  same_device(query, lengths);
  TORCH_CHECK(lengths.scalar_type() == at::kInt && lengths.dim() == 1 && lengths.is_contiguous());
}

void check_flash(const Tensor& query, const Tensor& key, const Tensor& value) {
  check_heads(query, key, value);
  TORCH_CHECK(query.dim() == 3, "expected (T, heads, d)");
  TORCH_CHECK(query.scalar_type() == at::kBFloat16 || query.scalar_type() == at::kHalf);
  TORCH_CHECK(query.size(2) % 8 == 0 && query.size(2) <= 256, "head size ", query.size(2));
  TORCH_CHECK(query.size(1) % key.size(1) == 0);
}

void check_efficient(const Tensor& query, const Tensor& key, const Tensor& value) {
  check_heads(query, key, value);
  TORCH_CHECK(query.dim() == 4 && query.size(0) == 1, "expected (1, T, heads, d)");
  TORCH_CHECK(query.size(2) == key.size(2) && query.size(2) == value.size(2), "heads are not expanded");
  const int64_t aligned = 16 / query.element_size();
  TORCH_CHECK(query.size(3) % aligned == 0, "head size ", query.size(3));
}

namespace {

Tensor index_select(const Tensor& self, int64_t dim, const Tensor& index) {
  same_device(self, index);
  TORCH_CHECK(index.scalar_type() == at::kLong || index.scalar_type() == at::kInt);
  auto shape = self.sizes().vec();
  shape[at::maybe_wrap_dim(dim, self.dim())] = index.numel();
  return at::empty(shape, self.options());
}

Tensor embedding_dense_backward(const Tensor& gradient, const Tensor& indices, int64_t rows, int64_t, bool) {
  same_device(gradient, indices);
  return at::empty({rows, gradient.size(-1)}, gradient.options());
}

// ---- products of bf16 with a result of fp32 ----

void check_product(const Tensor& left, const Tensor& right, at::ScalarType type) {
  same_type(left, right);
  TORCH_CHECK(left.dim() == 2 && right.dim() == 2 && left.size(1) == right.size(0));
  TORCH_CHECK(type == left.scalar_type() || (type == at::kFloat && left.scalar_type() == at::kBFloat16));
}
Tensor mm_to(const Tensor& left, const Tensor& right, at::ScalarType type) {
  check_product(left, right, type);
  return at::empty({left.size(0), right.size(1)}, left.options().dtype(type));
}
Tensor& mm_to_out(const Tensor& left, const Tensor& right, at::ScalarType type, Tensor& out) {
  check_product(left, right, type);
  TORCH_CHECK(out.scalar_type() == type && out.size(0) == left.size(0) && out.size(1) == right.size(1));
  return out;
}

// ---- elementwise ----

Tensor roll(const Tensor& self, at::IntArrayRef, at::IntArrayRef) { return at::empty(self.sizes(), self.options()); }

std::tuple<Tensor, Tensor> native_dropout(const Tensor& input, double, std::optional<bool>) {
  return {at::empty_like(input), at::empty(input.sizes(), input.options().dtype(at::kBool))};
}
Tensor native_dropout_backward(const Tensor& gradient, const Tensor& mask, double) {
  same_device(gradient, mask);
  TORCH_CHECK(mask.scalar_type() == at::kBool && gradient.sizes() == mask.sizes());
  return at::empty_like(gradient);
}
Tensor& where_out(const Tensor& condition, const Tensor& self, const Tensor& other, Tensor& out) {
  out.resize_(at::infer_size(at::infer_size(condition.sizes(), self.sizes()), other.sizes()));
  return out;
}
Tensor where(const Tensor& condition, const Tensor& self, const Tensor& other) {
  const auto& shaped = self.dim() > 0 ? self : other;
  auto out = at::empty({0}, shaped.options().device(condition.device()));
  return where_out(condition, self, other, out);
}
Tensor& of_two(const Tensor& self, const Tensor& other, Tensor& out) {
  out.resize_(at::infer_size(self.sizes(), other.sizes()));
  return out;
}
Tensor& of_one(const Tensor& self, Tensor& out) {
  out.resize_(self.sizes());
  return out;
}

Tensor mse_loss_backward(const Tensor& gradient, const Tensor& self, const Tensor& target, int64_t) {
  same_type(self, target);
  same_type(self, gradient);
  return at::empty_like(self);
}
std::tuple<Tensor, Tensor> log_sigmoid_forward(const Tensor& self) {
  return {at::empty_like(self), at::empty({0}, self.options())};
}
Tensor log_sigmoid_backward(const Tensor& gradient, const Tensor& self, const Tensor& buffer) {
  same_type(self, gradient);
  same_type(self, buffer);
  return at::empty_like(self);
}

// ---- norms ----

// Shape of one value per normalized row.
std::vector<int64_t> per_row(const Tensor& input, at::IntArrayRef normalized) {
  auto shape = input.sizes().vec();
  std::fill(shape.end() - static_cast<int64_t>(normalized.size()), shape.end(), 1);
  return shape;
}
at::TensorOptions statistics(const Tensor& input) {
  return input.options().dtype(at::toOpMathType(input.scalar_type()));
}
std::tuple<Tensor, Tensor, Tensor> native_layer_norm(const Tensor& input, at::IntArrayRef normalized,
                                                     const Optional& weight, const Optional& bias, double) {
  same_type(input, weight);
  same_type(input, bias);
  const auto shape = per_row(input, normalized);
  return {at::empty_like(input), at::empty(shape, statistics(input)), at::empty(shape, statistics(input))};
}
std::tuple<Tensor, Tensor, Tensor> native_layer_norm_backward(const Tensor& gradient, const Tensor& input,
                                                              at::IntArrayRef normalized, const Tensor& mean,
                                                              const Tensor& rstd, const Optional& weight,
                                                              const Optional& bias, std::array<bool, 3> wanted) {
  same_type(input, gradient);
  same_type(mean, rstd);
  same_type(input, weight);
  same_type(input, bias);
  const auto parameter = [&](bool of_this) { return of_this ? at::empty(normalized, input.options()) : Tensor(); };
  return {wanted[0] ? at::empty_like(input) : Tensor(), parameter(wanted[1]), parameter(wanted[2])};
}
std::tuple<Tensor, Tensor> fused_rms_norm(const Tensor& input, at::IntArrayRef normalized, const Optional& weight,
                                          std::optional<double>) {
  same_type(input, weight);
  return {at::empty_like(input), at::empty(per_row(input, normalized), statistics(input))};
}
std::tuple<Tensor, Tensor> fused_rms_norm_backward(const Tensor& gradient, const Tensor& input,
                                                   at::IntArrayRef normalized, const Tensor& rstd,
                                                   const Optional& weight, std::array<bool, 2> wanted) {
  same_type(input, gradient);
  same_type(input, weight);
  TORCH_CHECK(rstd.sizes() == at::IntArrayRef(per_row(input, normalized)));
  return {wanted[0] ? at::empty_like(input) : Tensor(), wanted[1] ? at::empty(normalized, input.options()) : Tensor()};
}

// ---- attention over packed rows: (T, heads, d) or (1, T, heads, d), cumulative lengths (B + 1) ----

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> flash_forward(const Tensor& query, const Tensor& key,
                                                                 const Tensor& value, const Optional& q_lengths,
                                                                 const Optional& k_lengths, int64_t, int64_t, double,
                                                                 bool, bool, std::optional<double>,
                                                                 std::optional<int64_t>, std::optional<int64_t>,
                                                                 const Optional&, const Optional&) {
  check_flash(query, key, value);
  check_lengths(query, q_lengths.value());
  check_lengths(query, k_lengths.value());
  const auto random = query.options().dtype(at::kUInt64);
  return {at::empty(query.sizes(), query.options()),
          at::empty({query.size(1), query.size(0)}, query.options().dtype(at::kFloat)), at::empty({2}, random),
          at::empty({}, random), at::empty({0}, query.options())};
}
std::tuple<Tensor, Tensor, Tensor> flash_backward(const Tensor& gradient, const Tensor& query, const Tensor& key,
                                                  const Tensor& value, const Tensor& out, const Tensor& logsumexp,
                                                  const Tensor& q_lengths, const Tensor& k_lengths, int64_t, int64_t,
                                                  double, bool, const Tensor& random, const Tensor&,
                                                  std::optional<double>, std::optional<int64_t>,
                                                  std::optional<int64_t>) {
  check_flash(query, key, value);
  same_type(query, gradient);
  same_type(query, out);
  check_lengths(query, q_lengths);
  check_lengths(query, k_lengths);
  TORCH_CHECK(gradient.stride(-1) == 1 && out.stride(-1) == 1);
  TORCH_CHECK(logsumexp.scalar_type() == at::kFloat && logsumexp.size(0) == query.size(1));
  TORCH_CHECK(random.scalar_type() == at::kUInt64);
  return {at::empty(query.sizes(), query.options()), at::empty(key.sizes(), key.options()),
          at::empty(value.sizes(), value.options())};
}

// Rows of logsumexp are padded to a multiple of 32 queries.
std::tuple<Tensor, Tensor, Tensor, Tensor, c10::SymInt, c10::SymInt> efficient_forward(
    const Tensor& query, const Tensor& key, const Tensor& value, const Optional& bias, const Optional& q_lengths,
    const Optional& k_lengths, std::optional<int64_t> longest_q, std::optional<int64_t> longest_k, double, int64_t mask,
    bool with_logsumexp, std::optional<double>, const Optional&, std::optional<int64_t>) {
  check_efficient(query, key, value);
  check_lengths(query, q_lengths.value());
  check_lengths(query, k_lengths.value());
  TORCH_CHECK(!bias && 0 <= mask && mask <= 2);
  const int64_t rows = with_logsumexp ? (longest_q.value() + 31) / 32 * 32 : 0;
  const auto random = query.options().dtype(at::kLong);
  return {at::empty({1, query.size(1), query.size(2), value.size(3)}, query.options()),
          at::empty({q_lengths->size(0) - 1, query.size(2), rows}, query.options().dtype(at::kFloat)),
          at::empty({}, random),
          at::empty({}, random),
          longest_q.value(),
          longest_k.value()};
}
std::tuple<Tensor, Tensor, Tensor, Tensor> efficient_backward(
    const Tensor& gradient, const Tensor& query, const Tensor& key, const Tensor& value, const Optional& bias,
    const Tensor& out, const Optional& q_lengths, const Optional& k_lengths, int64_t longest_q, int64_t,
    const Tensor& logsumexp, double, const Tensor& seed, const Tensor& offset, int64_t mask, bool,
    std::optional<double>, std::optional<int64_t>, std::optional<int64_t>, bool) {
  check_efficient(query, key, value);
  same_type(query, gradient);
  same_type(query, out);
  check_lengths(query, q_lengths.value());
  check_lengths(query, k_lengths.value());
  TORCH_CHECK(!bias && 0 <= mask && mask <= 2);
  TORCH_CHECK(logsumexp.dim() == 3 && logsumexp.size(1) == query.size(2) && logsumexp.size(2) >= longest_q);
  TORCH_CHECK(seed.scalar_type() == at::kLong && offset.scalar_type() == at::kLong);
  return {at::empty(query.sizes(), query.options()), at::empty(key.sizes(), key.options()),
          at::empty(value.sizes(), value.options()), Tensor()};
}

// ---- optimizer ----

void check_adamw(at::TensorList parameters, at::TensorList gradients, at::TensorList means, at::TensorList squares,
                 at::TensorList steps, const Optional& found_inf) {
  TORCH_CHECK(gradients.size() == parameters.size() && means.size() == parameters.size() &&
              squares.size() == parameters.size() && steps.size() == parameters.size());
  for (size_t i = 0; i < parameters.size(); i++) {
    for (const auto& of_it : {gradients[i], means[i], squares[i]}) {
      same_type(parameters[i], of_it);
      TORCH_CHECK(of_it.sizes() == parameters[i].sizes());
    }
    same_device(parameters[i], steps[i]);
    TORCH_CHECK(steps[i].scalar_type() == at::kFloat);
    same_device(parameters[i], found_inf);
  }
}
void fused_adamw(at::TensorList parameters, at::TensorList gradients, at::TensorList means, at::TensorList squares,
                 at::TensorList, at::TensorList steps, double, double, double, double, double, bool, bool,
                 const Optional&, const Optional& found_inf) {
  check_adamw(parameters, gradients, means, squares, steps, found_inf);
}
void fused_adamw_tensor_rate(at::TensorList parameters, at::TensorList gradients, at::TensorList means,
                             at::TensorList squares, at::TensorList, at::TensorList steps, const Tensor&, double,
                             double, double, double, bool, bool, const Optional&, const Optional& found_inf) {
  check_adamw(parameters, gradients, means, squares, steps, found_inf);
}

}  // namespace

template <class Function> void MetaOperators::add(const char* name, Function function) {
  library_.impl(name, function);
  names_.emplace_back(name);
}

MetaOperators::MetaOperators() : library_(torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__, __LINE__) {
  add("index_select", index_select);
  add("embedding_dense_backward", embedding_dense_backward);
  add("mm.dtype", mm_to);
  add("mm.dtype_out", mm_to_out);
  add("roll", roll);
  add("native_dropout", native_dropout);
  add("native_dropout_backward", native_dropout_backward);
  add("where.self_out", where_out);
  add("where.self", where);
  add("logical_and.out", of_two);
  add("logical_or.out", of_two);
  add("logical_not.out", of_one);
  add("mse_loss_backward", mse_loss_backward);
  add("log_sigmoid_forward", log_sigmoid_forward);
  add("log_sigmoid_backward", log_sigmoid_backward);
  add("_fused_adamw_", fused_adamw);
  add("_fused_adamw_.tensor_lr", fused_adamw_tensor_rate);
  add_norms();
  add_attention();
}

void MetaOperators::add_norms() {
  add("native_layer_norm", native_layer_norm);
  add("native_layer_norm_backward", native_layer_norm_backward);
  add("_fused_rms_norm", fused_rms_norm);
  add("_fused_rms_norm_backward", fused_rms_norm_backward);
}

void MetaOperators::add_attention() {
  add("_flash_attention_forward", flash_forward);
  add("_flash_attention_backward", flash_backward);
  add("_efficient_attention_forward", efficient_forward);
  add("_efficient_attention_backward", efficient_backward);
}

}  // namespace sartor::testing
