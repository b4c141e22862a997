// Factory of factorizers and trained models for a list of algorithms. Each is a Factorizer with these members:
//
//   name     name in configs and files
//   Config   config with describe(); argument of the constructor, with datasets::Prepared and cuda::Context. If the
//            constructor also takes a Collective*, the ranks of a run share the training; otherwise each rank trains
//            the whole model, which must be the same on all of them. If it then also takes a std::optional<int64_t>,
//            that is the limit of the device memory in bytes
//   Model    TrainedModel that model() returns and that is saved to files
#pragma once

#include <array>
#include <concepts>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "models/factorization/factorizer.h"
#include "runtime/collective.h"
#include "schema/fields.h"
#include "schema/messages.h"
#include "storage/prepared.h"

namespace sartor {

template <class T>
concept Algorithm = std::derived_from<T, Factorizer> && Section<typename T::Config> &&
    std::constructible_from<T, const typename T::Config&, const datasets::Prepared&, cuda::Context&> &&
    std::derived_from<typename T::Model, TrainedModel> && requires {
  { T::name } -> std::convertible_to<std::string_view>;
};

// An algorithm selected in a config, by its index in the list.
template <class... Algorithms> struct AlgorithmChoice {
  size_t index = 0;

  bool operator==(const AlgorithmChoice&) const = default;
};

template <class... Algorithms> constexpr auto choices(AlgorithmChoice<Algorithms...>) {
  size_t index = 0;
  return std::to_array<Choice<AlgorithmChoice<Algorithms...>>>({{Algorithms::name, {index++}}...});
}

template <Algorithm... Algorithms> class AlgorithmTable {
  using Chosen = AlgorithmChoice<Algorithms...>;

  // Calls use(std::type_identity<A>()) for the selected algorithm A.
  template <class Use> static void with(Chosen chosen, Use use) {
    size_t index = 0;
    ((index++ == chosen.index ? use(std::type_identity<Algorithms>()) : void()), ...);
  }

 public:
  // The selected algorithm and its config. Fields of other algorithms are unknown keys.
  class Config {
   public:
    template <class Fields> void describe(Fields& field) {
      field.choice("algorithm", chosen_, "Factorization algorithm.", [&](Chosen chosen) {
        with(chosen, [&]<class A>(std::type_identity<A>) { std::get<typename A::Config>(configs_).describe(field); });
      });
    }

    // Files that the selected algorithm's config names, if it has a member reads().
    std::vector<std::filesystem::path> reads() const {
      std::vector<std::filesystem::path> files;
      with(chosen_, [&]<class A>(std::type_identity<A>) {
        const auto& config = std::get<typename A::Config>(configs_);
        if constexpr (requires { config.reads(); }) files = config.reads();
      });
      return files;
    }

    // Constraints between the fields of the selected algorithm's config, if it has any.
    void check() const {
      with(chosen_, [&]<class A>(std::type_identity<A>) {
        const auto& config = std::get<typename A::Config>(configs_);
        if constexpr (requires { config.check(); }) config.check();
      });
    }

    std::unique_ptr<Factorizer> make(const datasets::Prepared& data, cuda::Context& context, Collective& ranks,
                                     std::optional<int64_t> max_device_memory = {}) const {
      std::unique_ptr<Factorizer> made;
      with(chosen_, [&]<class A>(std::type_identity<A>) {
        const auto& config = std::get<typename A::Config>(configs_);
        if constexpr (std::constructible_from<A, decltype(config), decltype(data), cuda::Context&, Collective*,
                                              std::optional<int64_t>>) {
          made = std::make_unique<A>(config, data, context, &ranks, max_device_memory);
        } else if constexpr (std::constructible_from<A, decltype(config), decltype(data), cuda::Context&,
                                                     Collective*>) {
          made = std::make_unique<A>(config, data, context, &ranks);
        } else {
          made = std::make_unique<A>(config, data, context);
        }
      });
      return made;
    }

   private:
    Chosen chosen_;
    std::tuple<typename Algorithms::Config...> configs_;  // defaults for algorithms that are not selected
  };

  // Reads a factors.h5 file or that of a run folder. Throws std::invalid_argument like TrainedModel::read, or if the
  // algorithm is not in the list.
  static std::unique_ptr<TrainedModel> load(const std::filesystem::path& path_or_run) {
    const auto file = open_model_file(path_or_run);
    const std::string name = algorithm_of(file);
    std::unique_ptr<TrainedModel> model;
    ((name == Algorithms::name ? void(model = std::make_unique<typename Algorithms::Model>()) : void()), ...);
    require(model != nullptr, "{}: the algorithm is {}, expected {}", file.path().string(), shown(name),
            either(names_of(Among<Chosen>())));
    model->read(file);
    return model;
  }
};

}  // namespace sartor
