using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Model;

namespace Isthmus.ControlPlane.Resolve;

/// <summary>Keys of an issuer that cannot be fetched.</summary>
/// <param name="HasKeys">Those that were fetched before stay in use.</param>
public sealed record KeyFailure(string Error, bool HasKeys)
{
    /// <summary>What that means for the RequestAuthentications that need them. Pure.</summary>
    public static IEnumerable<Problem> Problems(IEnumerable<RequestAuthentication> policies, IReadOnlyDictionary<KeyPlace, KeyFailure> failures) =>
        failures.Count == 0 ? [] :
        from policy in policies
        from rule in policy.Rules.Index()
        where rule.Item.Jwks.Length == 0 && failures.ContainsKey(rule.Item.Place)
        let failure = failures[rule.Item.Place]
        select new Problem("ISM1466", $"RequestAuthentication {policy.Namespace}/{policy.Name}",
            $"spec.jwtRules[{rule.Index}].{(rule.Item.JwksUri.Length > 0 ? "jwksUri" : "issuer")}",
            $"the keys of issuer '{Visible.Text(rule.Item.Issuer)}' cannot be fetched: {failure.Error}; "
                + $"{(failure.HasKeys ? "the last ones stay in use" : "every token of the issuer is refused with 401")}",
            "check that the control plane reaches the address and that it serves a JWK set, or write the keys into the field jwks",
            failure.HasKeys ? Severity.Warning : Severity.Error);
}
