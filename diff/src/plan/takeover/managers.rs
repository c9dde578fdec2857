//! Field managers by what stands behind them: a tool that a person runs, a tool that describes whole objects, or a
//! controller that goes on writing. Pure.

use crate::ignore::Glob;
use crate::unmanaged;

/// Tools that describe whole objects: at the first apply of an object, everything that they left is taken over.
const DESCRIBERS: [&str; 16] = [
    "HashiCorp",
    "Terraform*",
    "argocd-application-controller",
    "argocd-controller",
    "fleetagent",
    "flux",
    "helm",
    "helm-controller",
    "kapp-server",
    "kluctl",
    "kubectl",
    "kubectl-applyset",
    "kubectl-client-side-apply",
    "kubectl-edit",
    "kustomize-controller",
    "pulumi-kubernetes*",
];

/// Names that controllers have, as globs. Some tools that describe whole objects have such a name too, and are none.
const CONTROLLERS: [&str; 7] =
    ["*-controller", "*-controller-manager", "*-operator", "controller", "istiod", "manager", "operator"];

/// True for a tool that describes whole objects.
pub fn describes(manager: &str) -> bool {
    DESCRIBERS.iter().any(|glob| Glob::new(glob).matches(manager))
}

/// True for a controller, which would write again what is taken from it.
pub fn is_controller(manager: &str) -> bool {
    let named = || CONTROLLERS.iter().any(|glob| Glob::new(glob).matches(manager));
    !describes(manager) && (unmanaged::is_controller(manager) || named())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_of_persons_and_former_tools_are_no_controllers() {
        for manager in [
            "kubectl-patch",
            "kustomize-controller",
            "argocd-controller",
            "velero-server",
            "before-first-apply",
            "Mozilla",
            "k9s",
        ] {
            assert!(!is_controller(manager), "{manager}");
        }
        for manager in
            ["kube-controller-manager", "cainjector", "keda-operator", "example-controller", "vpa-updater"]
        {
            assert!(is_controller(manager), "{manager}");
        }
    }
}
