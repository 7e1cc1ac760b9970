using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Cel;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.Policies;

/// <summary>What the expressions of policies know of a request.</summary>
/// <param name="kind">How the policy wants to see the object.</param>
internal sealed class PolicyObjects(AdmissionRequest request, KindDescriptor kind, IObjectStore store)
{
    private readonly JsonObject? _object = AdmissionReviewForm.Shown(request, kind, request.Object);
    private readonly JsonObject? _old = AdmissionReviewForm.Shown(request, kind, request.OldObject);
    private readonly JsonObject _request = AdmissionReviewForm.WithoutObjects(request, kind);

    /// <summary>Makes a scope for each expression: each may do the same amount of work.</summary>
    public Func<CelScope> Scope(AdmissionPolicy policy, JsonObject? parameter)
    {
        CelNamed? variables = null;
        Func<CelScope> scope = () => CelScope.Of(
            ("object", _object), ("oldObject", _old), ("request", _request), ("params", parameter), ("namespaceObject", Namespace()), ("variables", variables));
        variables = new(name => policy.Variables.FirstOrDefault(variable => variable.Name == name) is { } found
            ? found.Expression.Evaluate(scope()) : throw new CelFailureException($"undefined field '{name}'"));
        return scope;
    }

    private JsonObject? Namespace() => request.Kind.Namespaced ? store.Find(Resources.Namespaces, "", request.Namespace)?.Parse() : null;
}
