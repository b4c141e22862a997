#include "models/transformer/recompute.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <mutex>
#include <utility>
#include <vector>

namespace sartor::transformer {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

using Generators = std::vector<at::Generator>;

// State of random generators.
class RandomState {
 public:
  explicit RandomState(const Generators& generators) : generators_(generators) {
    for (auto& generator : generators_) {
      const std::lock_guard lock(generator.mutex());
      states_.push_back(generator.get_state());
    }
  }
  void restore() {
    for (size_t i = 0; i < generators_.size(); i++) {
      const std::lock_guard lock(generators_[i].mutex());
      generators_[i].set_state(states_[i]);
    }
  }

 private:
  Generators generators_;
  std::vector<at::Tensor> states_;
};

Generators default_generators(at::Device device) {
  Generators generators = {at::detail::getDefaultCPUGenerator()};
  if (!device.is_cpu()) generators.push_back(at::globalContext().defaultGenerator(device));
  return generators;
}

struct Part : torch::CustomClassHolder {
  Part(std::function<at::Tensor(const at::Tensor&)> run, at::TensorList parameters, Generators used)
      : run(std::move(run)), parameters(parameters.vec()), generators(std::move(used)), random(generators) {}
  std::function<at::Tensor(const at::Tensor&)> run;
  variable_list parameters;
  Generators generators;
  RandomState random;
};

struct Recomputed : torch::autograd::Function<Recomputed> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, at::TensorList,
                            const c10::intrusive_ptr<Part>& part) {
    ctx->save_for_backward({x});
    ctx->saved_data["part"] = c10::IValue::make_capsule(part);
    return part->run(x);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto capsule = ctx->saved_data["part"].toCapsule();
    auto& part = static_cast<Part&>(*capsule);
    const auto x = ctx->get_saved_variables()[0].detach();
    x.set_requires_grad(ctx->needs_input_grad(0));

    at::Tensor y;
    RandomState before(part.generators);
    part.random.restore();
    {
      const c10::AutoGradMode gradients(true);
      y = part.run(x);
    }
    before.restore();

    variable_list wanted, found(1 + part.parameters.size() + 1);
    std::vector<size_t> places;
    for (size_t i = 0; i <= part.parameters.size(); i++) {
      const auto& tensor = i == 0 ? x : part.parameters[i - 1];
      if (!tensor.requires_grad()) continue;
      wanted.push_back(tensor);
      places.push_back(i);
    }
    const auto gradients = torch::autograd::grad({y}, wanted, {grads[0]});
    for (size_t i = 0; i < places.size(); i++) found[places[i]] = gradients[i];
    return found;
  }
};

}  // namespace

at::Tensor recomputed(std::function<at::Tensor(const at::Tensor&)> part, const at::Tensor& x, at::TensorList parameters,
                      std::vector<at::Generator> generators) {
  if (generators.empty()) generators = default_generators(x.device());
  return Recomputed::apply(x, parameters,
                           c10::make_intrusive<Part>(std::move(part), parameters, std::move(generators)));
}

}  // namespace sartor::transformer
