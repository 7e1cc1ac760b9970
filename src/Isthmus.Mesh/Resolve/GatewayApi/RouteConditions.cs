using Isthmus.Core.Collections;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>What the status of a route says of its rules, for each parent that it attaches to.</summary>
public static class RouteConditions
{
    private const string Accepted = "Accepted";

    /// <param name="converted">The rules.</param>
    /// <param name="refusal">Why the parent does not have the route; null: it has.</param>
    public static ValueList<ApiCondition> Of(ConvertedRoute converted, ApiFault? refusal) =>
        Of(converted, refusal is null ? new ApiCondition(Accepted, true, Accepted, "Route was valid") : new(Accepted, false, refusal.Reason, refusal.Message));

    /// <param name="converted">The rules.</param>
    /// <param name="accepted">What the parent says to the route.</param>
    public static ValueList<ApiCondition> Of(ConvertedRoute converted, ApiCondition accepted)
    {
        var conditions = new List<ApiCondition>
        {
            accepted.Status == true && converted.IsAllFaulty ? new(Accepted, false, converted.Faults[0].Reason, Joined(converted.Faults)) : accepted,
            converted.References.IsEmpty ? new("ResolvedRefs", true, "ResolvedRefs", "All references resolved")
                : new("ResolvedRefs", false, converted.References[0].Reason, Joined(converted.References)),
        };
        if (!converted.Faults.IsEmpty && !converted.IsAllFaulty)
            conditions.Add(new("PartiallyInvalid", true, converted.Faults[0].Reason,
                $"Dropped Rule: requests that match it get 500: {Joined(converted.Faults)}"));
        return conditions.ToValueList();
    }

    private static string Joined(ValueList<ApiFault> faults) => string.Join("; ", faults.Select(fault => fault.Message).Distinct().Take(8));
}
