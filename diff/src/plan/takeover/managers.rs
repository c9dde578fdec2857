//! Classifies field managers: tools that users run, tools that describe whole objects, and controllers, which write repeatedly.
//! Pure.

use crate::ignore::Glob;
use crate::unmanaged;

/// Tools that describe whole objects: at the first apply of an object, all of their fields are taken over.
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

/// Names of controllers, as globs. Tools that describe whole objects are no controllers, even if such a glob matches them.
const CONTROLLERS: [&str; 7] =
    ["*-controller", "*-controller-manager", "*-operator", "controller", "istiod", "manager", "operator"];

/// True for a tool that describes whole objects.
pub fn describes(manager: &str) -> bool {
    DESCRIBERS.iter().any(|glob| Glob::new(glob).matches(manager))
}

/// True for a controller, which would write a field again after it was removed.
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
