// Shape functions for libtorch's meta device, which has no values and throws on any attempt to read one. They let the
// branch of accelerators run without one.
#pragma once

#include <torch/library.h>

#include <string>
#include <vector>

namespace sartor::testing {

// What CUDA's kernels of attention over packed rows require of queries, keys and values, (T, heads, d) or
// (1, T, heads, d), and of cumulative lengths. Throw c10::Error.
void check_flash(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value);
void check_efficient(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value);
void check_lengths(const at::Tensor& query, const at::Tensor& lengths);

// While it exists, operators that CUDA has as one kernel run on meta tensors although libtorch's C++ library has no
// Meta version of them. They check dtypes, shapes and devices as CUDA does. One object at a time.
class MetaOperators {
 public:
  MetaOperators();

  // The registered names, such as "where.self".
  const std::vector<std::string>& names() const { return names_; }

 private:
  template <class Function> void add(const char* name, Function function);
  void add_norms();
  void add_attention();

  torch::Library library_;
  std::vector<std::string> names_;
};

}  // namespace sartor::testing
