import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Module } from '@nestjs/common';
import {
  Args,
  ArgsType,
  Field,
  GraphQLModule,
  ID,
  InputType,
  Int,
  Mutation,
  ObjectType,
  Parent,
  Query,
  ResolveField,
  Resolver,
  Subscription,
} from '@nestjs/graphql';
import { IsInt, IsString, Max, Min } from 'class-validator';
import type { Built, Shape } from './shape.js';

@ObjectType()
class Recipe {
  @Field(() => ID)
  id!: string;

  @Field()
  title!: string;
}

@InputType()
class NewRecipeInput {
  @Field()
  @IsString()
  title!: string;
}

@ArgsType()
class RecipesArgs {
  @Field(() => Int)
  @IsInt()
  @Min(1)
  @Max(50)
  take: number = 25;
}

const RECIPES: readonly Recipe[] = [{ id: '1', title: 'Soup' }];

function build(): Built {
  @Resolver(() => Recipe)
  class RecipesResolver {
    @Query(() => Recipe)
    recipe(@Args('id') id: string): Recipe | undefined {
      return RECIPES.find((each) => each.id === id);
    }

    @Query(() => [Recipe])
    recipes(@Args() { take }: RecipesArgs): readonly Recipe[] {
      return RECIPES.slice(0, take);
    }

    @Mutation(() => Recipe)
    addRecipe(@Args('newRecipeData') { title }: NewRecipeInput): Recipe {
      return { id: '2', title };
    }

    @Mutation(() => Boolean)
    removeRecipe(@Args('id') id: string): boolean {
      return RECIPES.some((each) => each.id === id);
    }

    @Subscription(() => Recipe)
    async *recipeAdded(): AsyncGenerator<{ recipeAdded: Recipe }> {
      for (const recipe of RECIPES) yield await Promise.resolve({ recipeAdded: recipe });
    }

    @ResolveField(() => [String])
    ingredients(@Parent() { title }: Recipe): readonly string[] {
      return [title, 'water'];
    }
  }

  @Module({
    imports: [
      GraphQLModule.forRoot<ApolloDriverConfig>({
        driver: ApolloDriver,
        autoSchemaFile: true,
        includeStacktraceInErrorResponses: false,
        subscriptions: { 'graphql-ws': true },
        context: ({ req, extra }: { req?: object; extra?: { request: object } }) => ({
          req: req ?? extra?.request,
        }),
        fieldResolverEnhancers: ['guards'],
      }),
    ],
    providers: [RecipesResolver],
  })
  class AppModule {}
  return { module: AppModule, classes: [RecipesResolver] };
}

export const graphqlShape: Shape = {
  proves: 'RBAC-12',
  name: '23-graphql-code-first',
  // Its driver for Fastify is a package of its own.
  adapters: ['express'],
  build,
  access: {
    adapterRoutes: [{ method: 'USE', path: '/graphql', reason: 'each resolver has its own policy' }],
  },
  ways: [
    'RecipesResolver.recipe (graphql QUERY recipe)',
    'RecipesResolver.recipes (graphql QUERY recipes)',
    'RecipesResolver.addRecipe (graphql MUTATION addRecipe)',
    'RecipesResolver.removeRecipe (graphql MUTATION removeRecipe)',
    'RecipesResolver.recipeAdded (graphql SUBSCRIPTION recipeAdded)',
    'RecipesResolver.ingredients (graphql FIELD Recipe.ingredients)',
  ],
  requests: {
    'RecipesResolver.recipe': { operation: '{ recipe(id: "1") { title } }' },
    'RecipesResolver.recipes': { operation: '{ recipes(take: 1) { title } }' },
    'RecipesResolver.addRecipe': {
      operation: 'mutation { addRecipe(newRecipeData: { title: "Pie" }) { id } }',
    },
    'RecipesResolver.removeRecipe': { operation: 'mutation { removeRecipe(id: "1") }' },
    'RecipesResolver.recipeAdded': { operation: 'subscription { recipeAdded { title } }' },
    'RecipesResolver.ingredients': { operation: '{ recipe(id: "1") { ingredients } }' },
  },
};
