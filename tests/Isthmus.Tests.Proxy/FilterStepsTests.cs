using System.Runtime.CompilerServices;
using Isthmus.Proxy.Filters;
using Xunit;

namespace Isthmus.Tests.Proxy;

/// <summary>A filter runs at the steps that it names: it has to name those that it has.</summary>
public sealed class FilterStepsTests
{
    private static readonly Dictionary<FilterSteps, string> Methods = new()
    {
        [FilterSteps.Arrival] = nameof(RequestFilter.OnArrival),
        [FilterSteps.Request] = nameof(RequestFilter.OnRequestAsync),
        [FilterSteps.Forward] = nameof(RequestFilter.OnForward),
        [FilterSteps.Answer] = nameof(RequestFilter.OnAnswer),
        [FilterSteps.Response] = nameof(RequestFilter.OnResponse),
    };

    public static TheoryData<string> Filters =>
        [.. typeof(RequestFilter).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(RequestFilter))).Select(type => type.Name)];

    [Theory]
    [MemberData(nameof(Filters))]
    public void A_filter_names_exactly_the_steps_that_it_has(string name)
    {
        var type = typeof(RequestFilter).Assembly.GetTypes().Single(type => type.Name == name && type.IsSubclassOf(typeof(RequestFilter)));
        var named = ((RequestFilter)RuntimeHelpers.GetUninitializedObject(type)).Steps;
        var has = Methods.Where(step => type.GetMethod(step.Value)!.DeclaringType == type).Aggregate(FilterSteps.None, (all, step) => all | step.Key);
        Assert.Equal(has, named);
        Assert.NotEqual(FilterSteps.None, named);
    }

    [Fact]
    public void Each_step_has_a_method() => Assert.Equal(Enum.GetValues<FilterSteps>().Where(step => step != FilterSteps.None), Methods.Keys);
}
