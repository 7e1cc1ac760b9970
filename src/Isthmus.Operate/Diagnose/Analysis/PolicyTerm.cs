using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;

namespace Isthmus.Operate.Diagnose.Analysis;

/// <summary>A term of an AuthorizationPolicy with the fields that it was read from.</summary>
/// <param name="Path">The field of <see cref="RuleTerm.Values"/>.</param>
/// <param name="Negated">The field of <see cref="RuleTerm.NotValues"/>.</param>
public readonly record struct PolicyTerm(string Path, string Negated, RuleTerm Term)
{
    /// <summary>All of them, rule by rule.</summary>
    public static IEnumerable<PolicyTerm> Of(AuthorizationPolicy policy) => policy.Rules.Index().SelectMany(rule =>
        rule.Item.From.Index()
            .SelectMany(from => from.Item.Select(term => Of($"spec.rules[{rule.Index}].from[{from.Index}].source", term, RuleFields.Source)))
            .Concat(rule.Item.To.Index()
                .SelectMany(to => to.Item.Select(term => Of($"spec.rules[{rule.Index}].to[{to.Index}].operation", term, RuleFields.Operation))))
            .Concat(rule.Item.When.Index().Select(when => new PolicyTerm(
                $"spec.rules[{rule.Index}].when[{when.Index}].values", $"spec.rules[{rule.Index}].when[{when.Index}].notValues", when.Item))));

    private static PolicyTerm Of(string parent, RuleTerm term, IReadOnlyList<(string Key, string Values, string NotValues)> fields)
    {
        var (_, values, notValues) = fields.First(field => field.Key == term.Key);
        return new($"{parent}.{values}", $"{parent}.{notValues}", term);
    }
}
